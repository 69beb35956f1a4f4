//! Why a claim does not hold, and what to do about it.

use std::error::Error;

use blueprint::Component;

use crate::{client::ClientError, engine::EngineError};

/// A reason, as a fragment, and a remedy, as a sentence or a command to paste.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) reason: String,
    pub(crate) remedy: String,
}

/// What a probe comes to: the evidence, or why there is none.
pub(crate) type Probed = Result<String, Finding>;

impl Finding {
    pub(crate) fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    /// A finding whose cause a component's own log tells.
    pub(crate) fn at(component: Component, reason: impl Into<String>) -> Self {
        Self::new(reason, see_log(component))
    }
}

fn see_log(component: Component) -> String {
    format!("see `cargo xtask logs {component}`")
}

impl From<ClientError> for Finding {
    fn from(error: ClientError) -> Self {
        Self::at(error.component(), error.chain())
    }
}

impl From<EngineError> for Finding {
    fn from(error: EngineError) -> Self {
        let remedy = match &error {
            EngineError::OutOfReach { component, .. } => see_log(*component),
            EngineError::Password { .. } => {
                "make the lab's passwords: `cargo xtask bootstrap`".to_owned()
            }
            EngineError::UnknownPort { .. }
            | EngineError::Nodes { .. }
            | EngineError::ApiServer { .. }
            | EngineError::Unsupported { .. }
            | EngineError::Fault { .. } => "see `cargo xtask status`".to_owned(),
        };
        Self::new(chain(&error), remedy)
    }
}

/// An error with all its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_error_is_told_with_its_cause() {
        let finding = Finding::from(EngineError::OutOfReach {
            component: Component::Loki,
            source: "exit status 1".into(),
        });
        assert_eq!(finding.reason, "loki is out of reach: exit status 1");
        assert_eq!(finding.remedy, "see `cargo xtask logs loki`");
    }
}
