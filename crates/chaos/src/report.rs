//! The report of a campaign, as a table for people and as one JSON object for programs.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use anstyle::AnsiColor;
use jiff::Timestamp;
use serde_json::{Value, json};
use terminal::{cli::Fault, table::Rows};

use crate::judge::Verdict;

/// One fault and the way back from it.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The fault.
    pub fault: Fault,
    /// How many messages were confirmed when it began.
    pub at_confirmed: u64,
    /// What it did.
    pub did: String,
    /// From the blow until nothing stood in the way of recovery.
    pub held: Duration,
    /// From there until a message published afterwards was handled.
    pub recovered: Duration,
}

/// A fault after which the campaign could not go on.
#[derive(Clone, Debug)]
pub struct Stuck {
    /// The fault.
    pub fault: Fault,
    /// How many messages were confirmed when it began.
    pub at_confirmed: u64,
    /// What was waited for, and what was seen instead.
    pub reason: String,
}

/// What a campaign has seen.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed of its schedule.
    pub seed: u64,
    /// The command that does it again.
    pub replay: String,
    /// The broker's version.
    pub broker: String,
    /// When the lab was ready and the load began.
    pub started_at: Timestamp,
    /// How long it took from there to the verdict.
    pub took: Duration,
    /// The faults that the lab recovered from.
    pub faults: Vec<Taken>,
    /// The one that it did not recover from.
    pub stuck: Option<Stuck>,
    /// What became of the messages, or why nobody can tell.
    pub verdict: Result<Verdict, String>,
    /// Where the lab's state is to be looked at; nothing is kept of a campaign's own lab that held.
    pub kept: Option<PathBuf>,
}

impl Report {
    /// Whether the lab recovered from every fault and the ledger is even.
    pub fn holds(&self) -> bool {
        self.stuck.is_none() && self.verdict.as_ref().is_ok_and(Verdict::holds)
    }

    /// One JSON object. Fields may be added to it.
    pub fn to_json(&self) -> String {
        let faults: Vec<Value> = self
            .faults
            .iter()
            .enumerate()
            .map(|(index, taken)| {
                json!({
                    "number": index + 1,
                    "fault": taken.fault,
                    "at_confirmed": taken.at_confirmed,
                    "did": taken.did,
                    "held_ms": millis(taken.held),
                    "recovered_ms": millis(taken.recovered),
                })
            })
            .collect();
        let stuck = self.stuck.as_ref().map(|stuck| {
            json!({
                "number": faults.len() + 1,
                "fault": stuck.fault,
                "at_confirmed": stuck.at_confirmed,
                "reason": stuck.reason,
            })
        });
        let ledger = self.verdict.as_ref().ok().map(|verdict| {
            json!({
                "confirmed": verdict.confirmed,
                "acknowledged": verdict.acknowledged,
                "lost": verdict.lost_count,
                "lost_sequences": verdict.lost,
                "unaccounted": verdict.unaccounted,
                "repeated": verdict.repeated,
                "dead_letters": verdict.dead_letters,
                "unexplained": verdict.unexplained,
            })
        });
        json!({
            "schema": 1,
            "holds": self.holds(),
            "seed": self.seed,
            "replay": self.replay,
            "broker": self.broker,
            "started_at": self.started_at,
            "took_ms": millis(self.took),
            "ledger": ledger,
            "ledger_missing": self.verdict.as_ref().err(),
            "stuck": stuck,
            "kept": self.kept,
            "faults": faults,
        })
        .to_string()
    }

    /// The faults as a table, and the verdict below it.
    pub fn to_table(&self) -> String {
        let mut rows = Rows::new(["#", "FAULT", "AT", "HELD", "RECOVERED", "WHAT IT DID"]);
        for (index, taken) in self.faults.iter().enumerate() {
            let (held, recovered) = (seconds(taken.held), seconds(taken.recovered));
            let cells: [&dyn std::fmt::Display; 6] = [
                &(index + 1),
                &taken.fault,
                &taken.at_confirmed,
                &held,
                &recovered,
                &taken.did,
            ];
            rows.add(None, cells);
        }
        if let Some(stuck) = &self.stuck {
            let number = self.faults.len() + 1;
            let cells: [&dyn std::fmt::Display; 6] = [
                &number,
                &stuck.fault,
                &stuck.at_confirmed,
                &"-",
                &"no",
                &stuck.reason,
            ];
            rows.add(Some(AnsiColor::Red), cells);
        }
        rows.text() + "\n" + &self.conclusion()
    }

    fn conclusion(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = match &self.verdict {
            Ok(verdict) => writeln!(
                text,
                "{} faults, {} messages confirmed, {} handled: {} lost, {} handled twice unrecognised, {} dead letters of \
                 which {} unexplained; {} s, seed {}, RabbitMQ {}",
                self.faults.len() + usize::from(self.stuck.is_some()),
                verdict.confirmed,
                verdict.acknowledged,
                verdict.lost_count,
                verdict.unaccounted,
                verdict.dead_letters,
                verdict.unexplained.len(),
                self.took.as_secs(),
                self.seed,
                self.broker,
            ),
            Err(reason) => writeln!(text, "There is no verdict: {reason}"),
        };
        if let Ok(verdict) = &self.verdict {
            if verdict.repeated > 0 {
                let _ = writeln!(
                    text,
                    "{} messages were handled by a second consumer, each brought again by a fault",
                    verdict.repeated
                );
            }
            for lost in &verdict.lost {
                let _ = writeln!(text, "lost: {lost}");
            }
            for letter in &verdict.unexplained {
                let _ = writeln!(text, "unexplained: {letter}");
            }
        }
        if !self.holds() {
            let _ = writeln!(text, "To see it again: {}", self.replay);
        }
        if let Some(kept) = &self.kept {
            let _ = writeln!(text, "Its logs and journals are kept in {}", kept.display());
        }
        text
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            seed: 7,
            replay: "cargo xtask chaos --seed 7".to_owned(),
            broker: "3.10.8".to_owned(),
            started_at: Timestamp::UNIX_EPOCH,
            took: Duration::from_secs(61),
            faults: vec![Taken {
                fault: Fault::KillBroker,
                at_confirmed: 4200,
                did: "process 1 followed by 2".to_owned(),
                held: Duration::from_millis(1250),
                recovered: Duration::from_millis(8300),
            }],
            stuck: None,
            verdict: Ok(Verdict {
                confirmed: 5000,
                acknowledged: 5000,
                ..Verdict::default()
            }),
            kept: None,
        }
    }

    fn stuck() -> Report {
        Report {
            stuck: Some(Stuck {
                fault: Fault::CutConsumer,
                at_confirmed: 4900,
                reason: "waited 60 s for a confirm".to_owned(),
            }),
            kept: Some("state/chaos".into()),
            ..report()
        }
    }

    #[test]
    fn a_report_holds_only_when_everything_does() {
        assert!(report().holds());
        assert!(!stuck().holds());
        let mut lost = report();
        lost.verdict = Ok(Verdict {
            lost_count: 1,
            ..Verdict::default()
        });
        assert!(!lost.holds());
        let mut unknown = report();
        unknown.verdict = Err("no broker".to_owned());
        assert!(!unknown.holds());
    }

    #[test]
    fn the_way_to_see_it_again_is_shown_only_when_it_failed() {
        let plain = |report: &Report| anstream::adapter::strip_str(&report.to_table()).to_string();
        let good = plain(&report());
        assert!(good.contains("kill-broker  4200  1.2 s  8.3 s"), "{good}");
        assert!(!good.contains("To see it again"), "{good}");
        let bad = plain(&stuck());
        assert!(bad.contains("waited 60 s for a confirm"), "{bad}");
        assert!(
            bad.ends_with(
                "To see it again: cargo xtask chaos --seed 7\nIts logs and journals are kept in state/chaos\n"
            ),
            "{bad}"
        );
    }

    #[test]
    fn the_json_has_the_documented_shape() {
        let value: Value = serde_json::from_str(&stuck().to_json()).unwrap();
        assert_eq!(value["schema"], 1);
        assert_eq!(value["holds"], false);
        assert_eq!(value["ledger"]["lost"], 0);
        assert_eq!(value["faults"][0]["fault"], "kill-broker");
        assert_eq!(value["faults"][0]["recovered_ms"], 8300);
        assert_eq!(value["stuck"]["number"], 2);
    }
}
