//! Docker or Podman: whether one answers, and what it is.

use std::path::PathBuf;

use serde_json::Value;
use terminal::causes;

use super::{
    ask::{Answer, PATIENCE, ask, major_minor},
    finding::{Finding, Scope},
};

/// The container engines that kind can use, in its own order of preference.
const PROGRAMS: [&str; 2] = ["docker", "podman"];

/// kind gives each node a cgroup namespace of its own, which Docker can since then.
const OLDEST_DOCKER: (u32, u32) = (20, 10);

/// The lab's pods request 0.84 of a processor, those of Kubernetes itself 0.95.
const PROCESSORS: u64 = 2;

const ONLY_KIND: &str = "needed for --engine kind only";

/// What an engine tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) program: &'static str,
    pub(super) version: String,
    pub(super) storage: String,
    /// The file system below the storage driver, where the engine tells it.
    pub(super) backing: Option<String>,
    pub(super) cgroup_version: String,
    pub(super) cgroup_driver: String,
    pub(super) rootless: bool,
    /// The controllers that containers cannot be given.
    pub(super) lacking: Vec<&'static str>,
    pub(super) memory_bytes: u64,
    pub(super) processors: u64,
    pub(super) root: PathBuf,
}

/// What became of the question for an engine.
#[derive(Debug)]
pub(super) enum Asked {
    Answers(Facts),
    /// The first program that is there does not work.
    Fails {
        program: &'static str,
        said: String,
    },
    Silent {
        program: &'static str,
    },
    Missing,
}

impl Asked {
    pub(super) fn facts(&self) -> Option<&Facts> {
        match self {
            Self::Answers(facts) => Some(facts),
            Self::Fails { .. } | Self::Silent { .. } | Self::Missing => None,
        }
    }
}

/// Asks Docker, then Podman.
pub(super) async fn find() -> Asked {
    let mut answers = Vec::new();
    for program in PROGRAMS {
        let answer = ask(program, &["info", "--format", "{{json .}}"]).await;
        let works = read(program, &answer).is_ok();
        answers.push((program, answer));
        if works {
            break;
        }
    }
    choose(&answers)
}

/// The engine that works, else the trouble of the first that is there.
fn choose(answers: &[(&'static str, Answer)]) -> Asked {
    let mut trouble = None;
    for (program, answer) in answers {
        match (read(program, answer), answer) {
            (Ok(facts), _) => return Asked::Answers(facts),
            (Err(_), Answer::Missing) => {}
            (Err(_), Answer::Silent) => {
                trouble = trouble.or(Some(Asked::Silent { program }));
            }
            (Err(said), _) => trouble = trouble.or(Some(Asked::Fails { program, said })),
        }
    }
    trouble.unwrap_or(Asked::Missing)
}

/// The facts in an answer, or what stands in their place.
fn read(program: &'static str, answer: &Answer) -> Result<Facts, String> {
    let text = match answer {
        Answer::Said(text) => text,
        Answer::Failed(said) => return Err(said.clone()),
        Answer::Silent | Answer::Missing => return Err(String::new()),
    };
    let info: Value = serde_json::from_str(text)
        .map_err(|_| format!("`{program} info` gives no JSON, but: {text}"))?;
    // Some versions of the client end well although the daemon did not answer.
    if let Some(error) = info["ServerErrors"][0].as_str() {
        return Err(error.to_owned());
    }
    // What is called docker may be Podman.
    Ok(if info["host"].is_object() {
        of_podman(program, &info)
    } else {
        of_docker(program, &info)
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn of_docker(program: &'static str, info: &Value) -> Facts {
    let list = |key: &str| info[key].as_array().cloned().unwrap_or_default();
    let backing = list("DriverStatus")
        .iter()
        .find(|entry| entry[0] == "Backing Filesystem")
        .map(|entry| text(&entry[1]));
    let lacking = [
        ("memory", "MemoryLimit"),
        ("pids", "PidsLimit"),
        ("cpu", "CPUShares"),
    ]
    .into_iter()
    .filter(|(_, key)| info[*key] == false)
    .map(|(controller, _)| controller)
    .collect();
    Facts {
        program,
        version: text(&info["ServerVersion"]),
        storage: text(&info["Driver"]),
        backing,
        cgroup_version: text(&info["CgroupVersion"]),
        cgroup_driver: text(&info["CgroupDriver"]),
        rootless: list("SecurityOptions")
            .iter()
            .any(|option| text(option).contains("rootless")),
        lacking,
        memory_bytes: info["MemTotal"].as_u64().unwrap_or_default(),
        processors: info["NCPU"].as_u64().unwrap_or_default(),
        root: text(&info["DockerRootDir"]).into(),
    }
}

fn of_podman(program: &'static str, info: &Value) -> Facts {
    let (host, store) = (&info["host"], &info["store"]);
    let controllers = host["cgroupControllers"].as_array();
    let lacking = ["memory", "pids", "cpu"]
        .into_iter()
        .filter(|wanted| controllers.is_some_and(|all| !all.iter().any(|one| one == wanted)))
        .collect();
    Facts {
        program,
        version: text(&info["version"]["Version"]),
        storage: text(&store["graphDriverName"]),
        backing: store["graphStatus"]["Backing Filesystem"]
            .as_str()
            .map(str::to_owned),
        cgroup_version: text(&host["cgroupVersion"])
            .trim_start_matches('v')
            .to_owned(),
        cgroup_driver: text(&host["cgroupManager"]),
        rootless: host["security"]["rootless"] == true,
        lacking,
        memory_bytes: host["memTotal"].as_u64().unwrap_or_default(),
        processors: host["cpus"].as_u64().unwrap_or_default(),
        root: text(&store["graphRoot"]).into(),
    }
}

pub(super) fn judge(asked: &Asked) -> Vec<Finding> {
    let less =
        |found: String, fix: &str| vec![Finding::less(Scope::Kind, "container engine", found, fix)];
    match asked {
        Asked::Answers(facts) => of_engine(facts),
        Asked::Missing => less(
            format!("neither docker nor podman is on PATH; {ONLY_KIND}"),
            "`sudo apt-get install docker.io`",
        ),
        Asked::Silent { program } => less(
            format!(
                "`{program} info` says nothing for {} s; {ONLY_KIND}",
                PATIENCE.as_secs()
            ),
            &format!("`sudo systemctl restart {program}`"),
        ),
        Asked::Fails { program, said } => {
            let fix = causes::explain(said)
                .unwrap_or_else(|| format!("`{program} info` has to work for this user"));
            let said = said.lines().next().unwrap_or_default();
            less(format!("{program}: {said}; {ONLY_KIND}"), &fix)
        }
    }
}

fn of_engine(facts: &Facts) -> Vec<Finding> {
    let Facts {
        program, version, ..
    } = facts;
    let mut findings = vec![Finding::good(
        Scope::Kind,
        "container engine",
        summary(facts),
    )];
    if *program == "docker" && major_minor(version).is_some_and(|found| found < OLDEST_DOCKER) {
        let (major, minor) = OLDEST_DOCKER;
        findings.push(Finding::less(
            Scope::Kind,
            "container engine",
            format!("docker {version} is older than {major}.{minor}, which kind needs"),
            "`sudo apt-get install docker.io`, or https://docs.docker.com/engine/install",
        ));
    }
    if facts.rootless && !facts.lacking.is_empty() {
        findings.push(Finding::less(
            Scope::Kind,
            "container engine",
            format!(
                "rootless, and systemd does not hand it the controllers {}, which kind needs",
                facts.lacking.join(", ")
            ),
            "`sudo systemctl edit user@.service` with `[Service]` and `Delegate=yes`, then log in again",
        ));
    }
    if (1..PROCESSORS).contains(&facts.processors) {
        findings.push(Finding::less(
            Scope::Kind,
            "processors",
            format!(
                "{program} has {}; pods of the lab stay pending below {PROCESSORS}",
                facts.processors
            ),
            format!("give {program}'s machine {PROCESSORS} or more"),
        ));
    }
    findings
}

fn summary(facts: &Facts) -> String {
    let backing = match &facts.backing {
        Some(backing) => format!(" on {backing}"),
        None => String::new(),
    };
    let rootless = if facts.rootless { ", rootless" } else { "" };
    format!(
        "{} {}, {}{backing}, cgroup v{} ({}), {} processors, {} MiB{rootless}",
        facts.program,
        facts.version,
        facts.storage,
        facts.cgroup_version,
        facts.cgroup_driver,
        facts.processors,
        facts.memory_bytes >> 20,
    )
}

#[cfg(test)]
mod tests {
    use super::{super::finding::told, *};

    /// As Docker 20.10 prints it, without what is not read.
    const DOCKER: &str = r#"{"Driver":"overlay2","DriverStatus":[["Backing Filesystem","extfs"],["Supports d_type","true"]],
        "MemoryLimit":true,"PidsLimit":true,"CPUShares":true,"CgroupDriver":"systemd","CgroupVersion":"2","NCPU":8,
        "MemTotal":16777216000,"DockerRootDir":"/var/lib/docker","ServerVersion":"28.2.2","SecurityOptions":["name=cgroupns"]}"#;

    /// As Podman 4 prints it, without what is not read.
    const PODMAN: &str = r#"{"host":{"cgroupManager":"systemd","cgroupVersion":"v2","cgroupControllers":["memory","pids"],"cpus":4,
        "memTotal":8388608000,"security":{"rootless":true}},"store":{"graphDriverName":"overlay","graphRoot":"/home/a/.local/share/containers/storage",
        "graphStatus":{"Backing Filesystem":"btrfs"}},"version":{"Version":"4.3.1"}}"#;

    fn said(answers: &[(&'static str, Answer)]) -> String {
        told(judge(&choose(answers)))
    }

    fn docker(answer: Answer) -> String {
        said(&[("docker", answer), ("podman", Answer::Missing)])
    }

    #[test]
    fn an_engine_that_answers_is_summed_up() {
        assert_eq!(
            docker(Answer::Said(DOCKER.to_owned())),
            "kind ok container engine: docker 28.2.2, overlay2 on extfs, cgroup v2 (systemd), 8 processors, 16000 MiB"
        );
    }

    #[test]
    fn podman_counts_where_docker_does_not_work_and_needs_its_controllers() {
        let answers = [
            ("docker", Answer::Failed("no".to_owned())),
            ("podman", Answer::Said(PODMAN.to_owned())),
        ];
        assert_eq!(
            said(&answers),
            "kind ok container engine: podman 4.3.1, overlay on btrfs, cgroup v2 (systemd), 4 processors, 8000 MiB, rootless\n\
             kind less container engine: rootless, and systemd does not hand it the controllers cpu, which kind needs\n  \
             `sudo systemctl edit user@.service` with `[Service]` and `Delegate=yes`, then log in again"
        );
    }

    #[test]
    fn a_machine_without_an_engine_is_told_how_to_get_one() {
        assert_eq!(
            docker(Answer::Missing),
            "kind less container engine: neither docker nor podman is on PATH; needed for --engine kind only\n  \
             `sudo apt-get install docker.io`"
        );
    }

    #[test]
    fn an_engine_that_hangs_is_named() {
        assert_eq!(
            docker(Answer::Silent),
            "kind less container engine: `docker info` says nothing for 10 s; needed for --engine kind only\n  \
             `sudo systemctl restart docker`"
        );
    }

    #[test]
    fn a_daemon_that_is_down_is_to_be_started_whatever_the_exit_code() {
        let words = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
        let expected = format!(
            "kind less container engine: docker: {words}; needed for --engine kind only\n  \
             start the container engine: `sudo systemctl start docker`"
        );
        assert_eq!(docker(Answer::Failed(words.to_owned())), expected);
        let json = format!(r#"{{"ServerErrors":["{words}"]}}"#);
        assert_eq!(docker(Answer::Said(json)), expected);
    }

    #[test]
    fn a_user_who_may_not_is_told_the_group() {
        let words = "permission denied while trying to connect to the Docker daemon socket";
        assert_eq!(
            docker(Answer::Failed(format!("{words}\nmore"))),
            format!(
                "kind less container engine: docker: {words}; needed for --engine kind only\n  \
                 let this user use Docker: `sudo usermod -aG docker $USER`, then log in again"
            )
        );
    }

    #[test]
    fn an_unknown_trouble_is_shown_as_it_is() {
        assert_eq!(
            docker(Answer::Failed("context \"x\" not found".to_owned())),
            "kind less container engine: docker: context \"x\" not found; needed for --engine kind only\n  \
             `docker info` has to work for this user"
        );
    }

    #[test]
    fn an_old_docker_on_one_processor_is_two_findings_more() {
        let facts = Facts {
            program: "docker",
            version: "19.03.1".to_owned(),
            processors: 1,
            ..Facts::default()
        };
        let told = told(of_engine(&facts));
        let more = told.split_once('\n').unwrap().1;
        assert_eq!(
            more,
            "kind less container engine: docker 19.03.1 is older than 20.10, which kind needs\n  \
             `sudo apt-get install docker.io`, or https://docs.docker.com/engine/install\n\
             kind less processors: docker has 1; pods of the lab stay pending below 2\n  \
             give docker's machine 2 or more"
        );
    }
}
