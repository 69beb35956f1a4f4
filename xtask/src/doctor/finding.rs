//! What the doctor says: whom it concerns, what was found, and what mends it.

use anstyle::AnsiColor;
use serde::Serialize;

/// One finding.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// Which engine it concerns.
    pub(super) engine: Scope,
    pub(super) subject: String,
    pub(super) verdict: Verdict,
    pub(super) found: String,
    /// A command or sentence that mends it.
    pub(super) fix: Option<String>,
}

/// The engines that a finding concerns, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Scope {
    /// Whatever runs the lab.
    Every,
    /// The lab as plain processes.
    Host,
    /// The lab on a kind cluster.
    Kind,
}

impl Scope {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Every => "every",
            Self::Host => "host",
            Self::Kind => "kind",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Verdict {
    /// As it should be.
    Good,
    /// The lab runs, with less than it could have.
    Less,
    /// The lab does not run like this.
    Bad,
}

impl Verdict {
    pub(super) const fn word(self) -> (&'static str, AnsiColor) {
        match self {
            Self::Good => ("ok", AnsiColor::Green),
            Self::Less => ("less", AnsiColor::Yellow),
            Self::Bad => ("BAD", AnsiColor::Red),
        }
    }
}

impl Finding {
    pub(super) fn good(
        engine: Scope,
        subject: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            engine,
            subject: subject.into(),
            verdict: Verdict::Good,
            found: found.into(),
            fix: None,
        }
    }

    pub(super) fn less(
        engine: Scope,
        subject: impl Into<String>,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            verdict: Verdict::Less,
            fix: Some(fix.into()),
            ..Self::good(engine, subject, found)
        }
    }

    /// The same, with what to do if it comes to that.
    pub(super) fn hint(self, fix: impl Into<String>) -> Self {
        Self {
            fix: Some(fix.into()),
            ..self
        }
    }
}

/// The findings as a user reads them, a line each with its fix below.
#[cfg(test)]
pub(super) fn told(findings: impl IntoIterator<Item = Finding>) -> String {
    let lines: Vec<String> = findings
        .into_iter()
        .map(|finding| {
            let (word, _) = finding.verdict.word();
            let engine = finding.engine.word();
            let line = format!("{engine} {word} {}: {}", finding.subject, finding.found);
            match finding.fix {
                Some(fix) => format!("{line}\n  {fix}"),
                None => line,
            }
        })
        .collect();
    lines.join("\n")
}
