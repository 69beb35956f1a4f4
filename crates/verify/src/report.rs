//! What a verification found, and its renderings: JSON, a table, JUnit, Mermaid.

mod junit;
mod mermaid;
mod table;

use blueprint::Arrow;
use jiff::Timestamp;
use serde::Serialize;

pub use table::TableStyle;

/// The version of the JSON that [`Report::to_json`] writes; `docs/verify.md` describes it.
const SCHEMA: u32 = 1;

/// The state of an arrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The claim holds.
    Proven {
        /// What was seen.
        evidence: String,
    },
    /// The claim does not hold.
    Broken {
        /// What was seen, and what was expected.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// The claim cannot be made here: a component it needs does not exist in this engine or on this machine.
    Absent {
        /// Which one, and why.
        reason: String,
        /// How to get it.
        remedy: String,
    },
}

impl Outcome {
    /// The state's name in every rendering.
    pub const fn status(&self) -> Status {
        match self {
            Self::Proven { .. } => Status::Proven,
            Self::Broken { .. } => Status::Broken,
            Self::Absent { .. } => Status::Absent,
        }
    }
}

/// The name of an [`Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The claim holds.
    Proven,
    /// The claim does not hold.
    Broken,
    /// The claim cannot be made here.
    Absent,
}

impl Status {
    /// The name in every rendering.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Broken => "broken",
            Self::Absent => "absent",
        }
    }

    /// A mark for where the name is too long.
    const fn mark(self) -> &'static str {
        match self {
            Self::Proven => "✓",
            Self::Broken => "✗",
            Self::Absent => "–",
        }
    }
}

/// What came of breaking an arrow on purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Falsification {
    /// Its probe went red under the fault, and green again after it.
    Falsified,
    /// It did not come to that, or the probe stayed green: then the check proves nothing.
    NotFalsified {
        /// What happened in its place.
        reason: String,
    },
}

/// One arrow of a [`Report`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrowReport {
    /// The arrow.
    pub arrow: Arrow,
    /// Its state; after a falsification, its state once everything was healed.
    pub outcome: Outcome,
    /// The milliseconds that this took.
    pub took_ms: u64,
    /// What came of breaking it, where that was asked for.
    pub falsification: Option<Falsification>,
}

impl ArrowReport {
    /// Whether all that was asked of this arrow holds. An absent arrow is asked nothing.
    fn holds(&self) -> bool {
        match (&self.outcome, &self.falsification) {
            (Outcome::Absent { .. }, _) => true,
            (Outcome::Broken { .. }, _) | (_, Some(Falsification::NotFalsified { .. })) => false,
            (Outcome::Proven { .. }, Some(Falsification::Falsified) | None) => true,
        }
    }

    /// Evidence, or why there is none.
    fn words(&self) -> &str {
        match (&self.outcome, &self.falsification) {
            (Outcome::Proven { .. }, Some(Falsification::NotFalsified { reason })) => reason,
            (Outcome::Proven { evidence }, _) => evidence,
            (Outcome::Broken { reason, .. } | Outcome::Absent { reason, .. }, _) => reason,
        }
    }

    fn remedy(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Proven { .. } => None,
            Outcome::Broken { remedy, .. } | Outcome::Absent { remedy, .. } => Some(remedy),
        }
    }
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The engine's name.
    pub engine: String,
    /// The lab's name.
    pub lab: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// The milliseconds that all of it took.
    pub took_ms: u64,
    /// The arrows that were asked for, in the order of the diagrams.
    pub arrows: Vec<ArrowReport>,
}

#[derive(Serialize)]
struct JsonReport<'a> {
    schema: u32,
    engine: &'a str,
    lab: &'a str,
    started_at: Timestamp,
    took_ms: u64,
    summary: Summary,
    arrows: Vec<JsonArrow<'a>>,
}

/// How many arrows are in each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How many hold.
    pub proven: usize,
    /// How many do not.
    pub broken: usize,
    /// How many cannot be asked here.
    pub absent: usize,
}

#[derive(Serialize)]
struct JsonArrow<'a> {
    id: String,
    diagram: u8,
    from: &'a str,
    to: &'a str,
    status: Status,
    evidence: Option<&'a str>,
    took_ms: u64,
    reason: Option<&'a str>,
    remedy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    falsified: Option<bool>,
}

impl Report {
    /// How many arrows are in each state.
    pub fn summary(&self) -> Summary {
        let count = |status| {
            self.arrows
                .iter()
                .filter(|arrow| arrow.outcome.status() == status)
                .count()
        };
        Summary {
            proven: count(Status::Proven),
            broken: count(Status::Broken),
            absent: count(Status::Absent),
        }
    }

    /// Whether all that was asked holds: no arrow is broken and, where falsification was asked for, every present one
    /// was falsified. An absent arrow neither holds nor fails.
    pub fn all_hold(&self) -> bool {
        self.arrows.iter().all(ArrowReport::holds)
    }

    /// One JSON object, as `docs/verify.md` describes it, with a line feed at its end.
    pub fn to_json(&self) -> String {
        let arrows = self.arrows.iter().map(|report| {
            let ArrowReport { arrow, outcome, .. } = report;
            let not_falsified = match &report.falsification {
                Some(Falsification::NotFalsified { reason }) => Some(reason.as_str()),
                Some(Falsification::Falsified) | None => None,
            };
            let (evidence, reason) = match outcome {
                Outcome::Proven { evidence } => (Some(evidence.as_str()), not_falsified),
                Outcome::Broken { reason, .. } | Outcome::Absent { reason, .. } => {
                    (None, Some(reason.as_str()))
                }
            };
            JsonArrow {
                id: arrow.id(),
                diagram: arrow.diagram().number(),
                from: arrow.from().name(),
                to: arrow.to().name(),
                status: outcome.status(),
                evidence,
                took_ms: report.took_ms,
                reason,
                remedy: report.remedy(),
                falsified: report
                    .falsification
                    .as_ref()
                    .map(|falsification| *falsification == Falsification::Falsified),
            }
        });
        let report = JsonReport {
            schema: SCHEMA,
            engine: &self.engine,
            lab: &self.lab,
            started_at: self.started_at,
            took_ms: self.took_ms,
            summary: self.summary(),
            arrows: arrows.collect(),
        };
        let mut json = serde_json::to_string_pretty(&report)
            .expect("a report is made of text and numbers, whose serialization cannot fail");
        json.push('\n');
        json
    }
}

#[cfg(test)]
mod tests;
