//! `doctor`: what the lab needs of this machine, what is missing or in the way, and the command that mends it.

use std::{
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

use anstream::{print, println};
use anstyle::AnsiColor;
use blueprint::Component;
use host::{Control, HostError, PlanInput, Request, find_leftovers};
use serde::Serialize;
use verify::Presence;

use crate::engine;
use terminal::{Setting, cli, failure::Exit, table};

/// The whole lab with its optional components stays below this.
const MEMORY_BYTES: u64 = 3 << 30;

/// The broker blocks publishers below 256 MB of free disk; logs and metrics of some days come on top.
const DISK_BYTES: u64 = 2 << 30;

/// One finding.
#[derive(Debug, Serialize)]
struct Finding {
    subject: String,
    verdict: Verdict,
    found: String,
    /// A command or sentence that mends it.
    fix: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// As it should be.
    Good,
    /// The lab runs, with less than it could have.
    Less,
    /// The lab does not run like this.
    Bad,
}

impl Verdict {
    const fn word(self) -> (&'static str, AnsiColor) {
        match self {
            Self::Good => ("ok", AnsiColor::Green),
            Self::Less => ("less", AnsiColor::Yellow),
            Self::Bad => ("BAD", AnsiColor::Red),
        }
    }
}

/// Runs the command; exit code 3 when something is missing that the lab cannot do without.
pub async fn run(setting: &Setting, arguments: cli::Doctor) -> anyhow::Result<Exit> {
    let findings = examine(setting).await;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        let mut rows = table::Rows::new(["SUBJECT", "", "FOUND", "FIX"]);
        for finding in &findings {
            let (word, color) = finding.verdict.word();
            let fix = finding.fix.as_deref().unwrap_or_default();
            rows.add(Some(color), [&finding.subject, &word, &finding.found, &fix]);
        }
        print!("{}", rows.text());
    }
    let bad = findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Bad);
    Ok(if bad { Exit::Missing } else { Exit::Holds })
}

async fn examine(setting: &Setting) -> Vec<Finding> {
    let input = engine::plan_input(setting);
    let mut findings = programs(&input);
    let (state, running) = state(setting).await;
    findings.extend(state);
    if !running {
        findings.extend(input.components().into_iter().flat_map(ports));
    }
    findings.extend(memory());
    findings.extend(disk(&setting.state));
    findings
}

fn programs(input: &PlanInput) -> Vec<Finding> {
    Component::ALL
        .into_iter()
        .filter(|component| !matches!(component, Component::Producer | Component::Consumer))
        .filter_map(|component| {
            let subject = component.name().to_owned();
            if let Some(program) = input.programs.get(component) {
                return Some(match input.presence(component) {
                    Presence::Present => Finding {
                        subject,
                        verdict: Verdict::Good,
                        found: format!("{} {}", program.path.display(), program.version),
                        fix: None,
                    },
                    Presence::Absent { reason, remedy } => Finding {
                        subject,
                        verdict: Verdict::Less,
                        found: reason,
                        fix: Some(remedy),
                    },
                });
            }
            let missing = input.programs.missing(component)?;
            Some(Finding {
                subject,
                verdict: if missing.required {
                    Verdict::Bad
                } else {
                    Verdict::Less
                },
                found: missing.reason(),
                fix: Some(missing.remedy()),
            })
        })
        .collect()
}

/// The lab's own state, and whether it runs.
async fn state(setting: &Setting) -> (Vec<Finding>, bool) {
    let finding = |verdict, found: String, fix: Option<String>| Finding {
        subject: format!("lab {}", setting.lab.name()),
        verdict,
        found,
        fix,
    };
    let file = match setting.lab.load() {
        Ok(None) => {
            return (
                vec![finding(Verdict::Good, "not bootstrapped".to_owned(), None)],
                false,
            );
        }
        Ok(Some(file)) => file,
        Err(error) => {
            let fix = error.hint();
            return (vec![finding(Verdict::Bad, error.to_string(), fix)], false);
        }
    };
    match Control::of(&setting.lab).ask(&Request::Status).await {
        Ok(units) => {
            let found = format!("running, {} units", units.len());
            (vec![finding(Verdict::Good, found, None)], true)
        }
        Err(HostError::NotRunning { .. }) => {
            let left = find_leftovers(file.instance);
            if left.is_empty() {
                return (vec![finding(Verdict::Good, "down".to_owned(), None)], false);
            }
            let names: Vec<_> = left.iter().map(ToString::to_string).collect();
            let found = format!("no supervisor, but processes of it: {}", names.join(", "));
            let fix = Some("`cargo xtask down` ends them".to_owned());
            (vec![finding(Verdict::Less, found, fix)], true)
        }
        Err(error) => {
            let fix = Some("`cargo xtask down` ends it".to_owned());
            (vec![finding(Verdict::Bad, error.to_string(), fix)], true)
        }
    }
}

/// A taken port is no error: the component moves to the next free one.
fn ports(component: Component) -> Vec<Finding> {
    component
        .ports()
        .iter()
        .filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port.number)).is_err())
        .map(|port| Finding {
            subject: format!("port {}", port.number),
            verdict: Verdict::Less,
            found: format!("taken; {component}/{} will move", port.name),
            fix: Some(format!(
                "`ss -ltnp 'sport = :{}'` tells by whom",
                port.number
            )),
        })
        .collect()
}

fn memory() -> Option<Finding> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kibibytes: u64 = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()?;
    Some(amount(
        "memory",
        kibibytes * 1024,
        MEMORY_BYTES,
        "end what uses it; `ps --sort=-rss -eo rss,comm | head` lists it",
    ))
}

fn disk(state: &Path) -> Option<Finding> {
    let existing = state.ancestors().find(|path| path.exists())?;
    let space = rustix::fs::statvfs(existing).ok()?;
    Some(amount(
        "disk",
        space.f_bavail * space.f_frsize,
        DISK_BYTES,
        "free some, or keep the lab elsewhere with --state DIR",
    ))
}

fn amount(subject: &str, available: u64, wanted: u64, fix: &str) -> Finding {
    let short = available < wanted;
    Finding {
        subject: subject.to_owned(),
        verdict: if short { Verdict::Less } else { Verdict::Good },
        found: format!("{} MiB available", available >> 20),
        fix: short.then(|| fix.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_comes_with_its_fix() {
        let short = amount("disk", 1, 2, "free some");
        assert_eq!(short.verdict, Verdict::Less);
        assert_eq!(short.fix.as_deref(), Some("free some"));
        assert_eq!(amount("disk", 2, 2, "free some").fix, None);
    }
}
