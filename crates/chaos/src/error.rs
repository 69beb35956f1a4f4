//! What can keep a campaign from being carried out. What a fault brings to light is no error but part of the report.

use std::{io, path::PathBuf, time::Duration};

use host::HostError;
use lab::LabError;
use messaging::{broker::BrokerError, journal::JournalError};
use terminal::{cli::Fault, failure::Exit};

use crate::campaign::LAB;

/// A failure of the campaign itself.
#[derive(Debug, thiserror::Error)]
pub enum ChaosError {
    /// The host engine cannot bring the lab up or end it.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The lab's directory cannot be used.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A lab of an earlier campaign is still there.
    #[error("there is a lab in {} already, kept by a campaign that failed or that still runs", path.display())]
    Exists {
        /// The lab's directory.
        path: PathBuf,
    },
    /// The campaign came to no verdict.
    #[error("the campaign was not carried out; the lab's logs are kept in {}", path.display())]
    NotCarriedOut {
        /// The lab's directory.
        path: PathBuf,
        /// Why.
        source: Box<ChaosError>,
    },
    /// A journal cannot be read.
    #[error("cannot judge by the journals")]
    Journal(#[from] JournalError),
    /// The dead-letter queue cannot be looked at.
    #[error("cannot look at the dead letters")]
    DeadLetters(#[from] BrokerError),
    /// What was waited for did not come.
    #[error("waited {} s for {what}; seen last: {seen}", waited.as_secs())]
    GaveUp {
        /// What was waited for.
        what: String,
        /// How long.
        waited: Duration,
        /// What was there instead.
        seen: String,
    },
    /// A program of the broker failed.
    #[error("`{command}` failed: {said}")]
    Command {
        /// The command with its arguments.
        command: String,
        /// What it wrote.
        said: String,
    },
    /// The broker's management API refused a request.
    #[error("the broker's management API refused `{request}`: {answer}")]
    Management {
        /// Method and path.
        request: String,
        /// Its answer.
        answer: String,
    },
    /// A file, a socket or a process cannot be used.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: String,
        /// What the system says.
        source: io::Error,
    },
    /// The lab's engine has no means to bring a fault about.
    #[error("this engine cannot bring about `{fault}`")]
    NotOfThisEngine {
        /// The fault.
        fault: Fault,
    },
    /// The engine of a lab on a cluster cannot do what it was asked.
    #[error("the cluster does not do its part")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The HTTP client cannot be made.
    #[error("cannot make an HTTP client")]
    Http(#[source] reqwest::Error),
}

impl ChaosError {
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    /// The exit code of a command that ends with it.
    pub fn exit(&self) -> Exit {
        match self {
            Self::NotCarriedOut { source, .. } => source.exit(),
            Self::Host(error) => of_host(error),
            Self::GaveUp { .. } => Exit::GaveUp,
            _ => Exit::Unexpected,
        }
    }

    /// What to do next, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Host(error) => error.hint(),
            Self::Lab(error) => error.hint(),
            Self::Journal(error) => Some(error.hint()),
            Self::DeadLetters(error) => error.hint(),
            Self::NotCarriedOut { source, .. } => source.hint().or_else(purge),
            Self::Exists { .. } => purge(),
            Self::GaveUp { .. }
            | Self::Command { .. }
            | Self::Management { .. }
            | Self::Io { .. }
            | Self::NotOfThisEngine { .. }
            | Self::Engine(_)
            | Self::Http(_) => None,
        }
    }
}

/// The exit code that an error of the host engine stands for.
pub fn of_host(error: &HostError) -> Exit {
    match error {
        HostError::MissingProgram { .. } => Exit::Missing,
        HostError::SupervisorSilent { .. } | HostError::Survivors { .. } => Exit::GaveUp,
        _ => Exit::Unexpected,
    }
}

fn purge() -> Option<String> {
    Some(format!(
        "when you have looked at it, `cargo xtask down --purge --name {LAB}` ends and removes it"
    ))
}
