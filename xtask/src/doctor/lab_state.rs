//! The lab itself: whether it was bootstrapped, by which engine, and whether it runs.

use host::{Control, HostError, Request, find_leftovers};
use lab::{Engine, LabFile};
use terminal::Setting;

use super::{
    ask::{Answer, ask},
    finding::{Finding, Scope, Verdict},
};

/// The lab's own state, and whether it runs: what it holds is then not in anybody's way.
pub(super) async fn judge(setting: &Setting, container_engine: Option<&str>) -> (Finding, bool) {
    let subject = format!("lab {}", setting.lab.name());
    let file = match setting.lab.load() {
        Ok(None) => {
            return (
                Finding::good(Scope::Every, subject, "not bootstrapped"),
                false,
            );
        }
        Ok(Some(file)) => file,
        Err(error) => {
            let finding = Finding {
                verdict: Verdict::Bad,
                fix: error.hint(),
                ..Finding::good(Scope::Every, subject, error.to_string())
            };
            return (finding, false);
        }
    };
    match &file.engine {
        Engine::Host => on_host(setting, subject, &file).await,
        Engine::Kind(_) => {
            let node = format!("^lab-{}-control-plane$", file.name);
            let filter = format!("name={node}");
            let state = match container_engine {
                Some(program) => {
                    let list = ["ps", "--all", "--filter", &filter, "--format", "{{.State}}"];
                    ask(program, &list).await
                }
                None => Answer::Missing,
            };
            on_kind(subject, &state)
        }
        Engine::Cluster(cluster) => {
            let found = format!(
                "on the cluster of context {}; `cargo xtask status` asks it",
                cluster.context
            );
            (Finding::good(Scope::Every, subject, found), false)
        }
    }
}

async fn on_host(setting: &Setting, subject: String, file: &LabFile) -> (Finding, bool) {
    let units = Control::of(&setting.lab).ask(&Request::Status).await;
    let left: Vec<String> = match units {
        Err(HostError::NotRunning { .. }) => find_leftovers(file.instance)
            .iter()
            .map(ToString::to_string)
            .collect(),
        _ => Vec::new(),
    };
    by_supervisor(subject, units.map(|units| units.len()), &left)
}

/// By the supervisor's answer, the number of its units, and what is left where there is no supervisor.
fn by_supervisor(
    subject: String,
    units: Result<usize, HostError>,
    left: &[String],
) -> (Finding, bool) {
    match units {
        Ok(units) => {
            let found = format!("running, {units} units");
            (Finding::good(Scope::Every, subject, found), true)
        }
        Err(HostError::NotRunning { .. }) if left.is_empty() => {
            (Finding::good(Scope::Every, subject, "down"), false)
        }
        Err(HostError::NotRunning { .. }) => {
            let finding = Finding::less(
                Scope::Every,
                subject,
                format!("no supervisor, but processes of it: {}", left.join(", ")),
                "`cargo xtask down` ends them",
            );
            (finding, true)
        }
        Err(error) => {
            let finding = Finding {
                verdict: Verdict::Bad,
                ..Finding::good(Scope::Every, subject, error.to_string())
                    .hint("`cargo xtask down` ends it")
            };
            (finding, true)
        }
    }
}

/// By the state of the cluster's only node, as the container engine tells it.
fn on_kind(subject: String, node: &Answer) -> (Finding, bool) {
    let good = |found: &str| Finding::good(Scope::Every, subject.clone(), found);
    match node {
        Answer::Said(state) if state == "running" => (good("on kind, its node runs"), true),
        Answer::Said(state) if state.is_empty() => (good("on kind, down"), false),
        Answer::Said(state) => (
            Finding::less(
                Scope::Every,
                subject,
                format!("on kind, its node is {state}"),
                "`cargo xtask bootstrap` starts it again",
            ),
            false,
        ),
        Answer::Failed(_) | Answer::Silent | Answer::Missing => (
            Finding::less(
                Scope::Every,
                subject,
                "on kind, and no container engine answers",
                "start the container engine: `sudo systemctl start docker`",
            ),
            false,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::told, *};

    fn said(state: Answer) -> (String, bool) {
        let (finding, runs) = on_kind("lab default".to_owned(), &state);
        (told([finding]), runs)
    }

    #[test]
    fn a_lab_on_kind_is_what_its_node_is() {
        let state = |state: &str| said(Answer::Said(state.to_owned()));
        assert_eq!(
            state("running"),
            (
                "every ok lab default: on kind, its node runs".to_owned(),
                true
            )
        );
        assert_eq!(
            state(""),
            ("every ok lab default: on kind, down".to_owned(), false)
        );
        assert_eq!(
            state("exited").0,
            "every less lab default: on kind, its node is exited\n  `cargo xtask bootstrap` starts it again"
        );
    }

    #[test]
    fn a_lab_on_kind_without_an_engine_is_told_so() {
        assert_eq!(
            said(Answer::Missing).0,
            "every less lab default: on kind, and no container engine answers\n  \
             start the container engine: `sudo systemctl start docker`"
        );
    }

    #[test]
    fn a_lab_on_the_host_is_what_its_supervisor_says() {
        let told = |units, left: &[String]| {
            let (finding, runs) = by_supervisor("lab default".to_owned(), units, left);
            (told([finding]), runs)
        };
        let none = || HostError::NotRunning {
            path: "/home/a/.lab/default".into(),
        };
        assert_eq!(
            told(Ok(9), &[]),
            ("every ok lab default: running, 9 units".to_owned(), true)
        );
        assert_eq!(
            told(Err(none()), &[]),
            ("every ok lab default: down".to_owned(), false)
        );
        let left = "every less lab default: no supervisor, but processes of it: loki (42)\n  `cargo xtask down` ends them";
        assert_eq!(
            told(Err(none()), &["loki (42)".to_owned()]),
            (left.to_owned(), true)
        );
        let refused = HostError::Refused {
            request: "status",
            reason: "it is busy".to_owned(),
        };
        let bad = "every BAD lab default: the supervisor refused `status`: it is busy\n  `cargo xtask down` ends it";
        assert_eq!(told(Err(refused), &[]), (bad.to_owned(), true));
    }
}
