//! The programs of the host engine.

use blueprint::Component;
use host::PlanInput;
use verify::Presence;

use super::finding::{Finding, Scope, Verdict};

/// A finding for each component that a program of this machine runs. What is missing keeps the lab from running only
/// where kind cannot run it either.
pub(super) fn judge(input: &PlanInput, kind_runs: bool) -> Vec<Finding> {
    Component::ALL
        .into_iter()
        .filter(|component| !matches!(component, Component::Producer | Component::Consumer))
        .filter_map(|component| {
            let subject = component.name();
            if let Some(program) = input.programs.get(component) {
                return Some(match input.presence(component) {
                    Presence::Present => Finding::good(
                        Scope::Host,
                        subject,
                        format!("{} {}", program.path.display(), program.version),
                    ),
                    Presence::Absent { reason, remedy } => {
                        Finding::less(Scope::Host, subject, reason, remedy)
                    }
                });
            }
            let missing = input.programs.missing(component)?;
            Some(lacking(
                subject,
                missing.reason(),
                missing.remedy(),
                missing.required,
                kind_runs,
            ))
        })
        .collect()
}

fn lacking(
    subject: &str,
    reason: String,
    remedy: String,
    required: bool,
    kind_runs: bool,
) -> Finding {
    let finding = |found| Finding::less(Scope::Host, subject, found, remedy);
    match (required, kind_runs) {
        (true, true) => finding(format!("{reason}; needed for --engine host only")),
        (true, false) => Finding {
            verdict: Verdict::Bad,
            ..finding(reason)
        },
        (false, _) => finding(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::told, *};

    #[test]
    fn a_missing_program_is_bad_unless_the_lab_runs_without() {
        let lack = |required, kind_runs| {
            let reason = "there is no rabbitmq-server".to_owned();
            let remedy = "`sudo apt-get install rabbitmq-server`".to_owned();
            told([lacking("rabbitmq", reason, remedy, required, kind_runs)])
        };
        assert_eq!(
            lack(true, false),
            "host BAD rabbitmq: there is no rabbitmq-server\n  `sudo apt-get install rabbitmq-server`"
        );
        assert_eq!(
            lack(true, true),
            "host less rabbitmq: there is no rabbitmq-server; needed for --engine host only\n  \
             `sudo apt-get install rabbitmq-server`"
        );
        assert_eq!(
            lack(false, false),
            "host less rabbitmq: there is no rabbitmq-server\n  `sudo apt-get install rabbitmq-server`"
        );
    }
}
