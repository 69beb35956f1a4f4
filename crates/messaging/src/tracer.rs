//! Tracer messages: what verification sends through everything, marked in a header.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The header that marks a tracer message; its value is the kind's name.
pub const HEADER: &str = "x-lab-tracer";

/// What is to become of a tracer message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TracerKind {
    /// Handled like any message.
    Normal,
    /// Rejected by the consumer at every delivery, until the broker dead-letters it.
    Poison,
}

impl TracerKind {
    /// The name in the header and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Poison => "poison",
        }
    }
}

impl fmt::Display for TracerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for TracerKind {
    type Err = UnknownTracerKind;

    fn from_str(name: &str) -> Result<Self, UnknownTracerKind> {
        match name {
            "normal" => Ok(Self::Normal),
            "poison" => Ok(Self::Poison),
            _ => Err(UnknownTracerKind(name.to_owned())),
        }
    }
}

/// A name that no kind of tracer message has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no tracer message is of kind `{0}`; there are normal, poison")]
pub struct UnknownTracerKind(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_is_the_json_one() {
        for kind in [TracerKind::Normal, TracerKind::Poison] {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(
                serde_json::to_string(&kind).unwrap(),
                format!("\"{}\"", kind.name())
            );
        }
    }

    #[test]
    fn an_unknown_kind_lists_the_known_ones() {
        let message = "fast".parse::<TracerKind>().unwrap_err().to_string();
        assert!(
            message.contains("`fast`") && message.contains("normal, poison"),
            "{message}"
        );
    }
}
