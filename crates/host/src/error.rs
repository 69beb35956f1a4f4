//! What can go wrong in the host engine, and what to do about it.

use std::{io, path::PathBuf, time::Duration};

use lab::LabError;

/// A failure of the host engine. Each message speaks for its own level; [`HostError::hint`] says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// What the lab remembers, or its manifests, cannot be used.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// A program that the lab cannot do without is missing.
    #[error("the program `{program}` is missing, which {component} needs")]
    MissingProgram {
        /// The program's name.
        program: &'static str,
        /// The component that it runs.
        component: blueprint::Component,
        /// How to get it.
        remedy: String,
    },
    /// The supervisor did not come up.
    #[error("the supervisor did not answer within {} s; it wrote: {output}", waited.as_secs())]
    SupervisorSilent {
        /// How long it was given.
        waited: Duration,
        /// The end of its own log.
        output: String,
    },
    /// The supervisor is not running.
    #[error("the lab in {} is not running", path.display())]
    NotRunning {
        /// The lab's directory.
        path: PathBuf,
    },
    /// The supervisor answered something else than what was asked.
    #[error("the supervisor refused `{request}`: {reason}")]
    Refused {
        /// The request.
        request: &'static str,
        /// Its answer.
        reason: String,
    },
    /// Processes of the lab survived being ended.
    #[error("processes of the lab are still alive after {} s: {survivors}", waited.as_secs())]
    Survivors {
        /// How long they were given.
        waited: Duration,
        /// Process ids with their commands.
        survivors: String,
    },
    /// The object store refused a step of its preparation.
    #[error("cannot prepare the object store: {step}: {reason}")]
    ObjectStore {
        /// The step.
        step: String,
        /// The answer.
        reason: String,
    },
}

impl HostError {
    pub(crate) fn missing(missing: &crate::Missing) -> Self {
        Self::MissingProgram {
            program: missing.program,
            component: missing.component,
            remedy: missing.remedy(),
        }
    }

    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let error = LabError::file(action, path);
        move |source| error(source).into()
    }

    /// What to do next, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Lab(error) => error.hint(),
            Self::MissingProgram { remedy, .. } => Some(remedy.clone()),
            Self::NotRunning { .. } | Self::SupervisorSilent { .. } => {
                Some("bring the lab up with `cargo xtask bootstrap`".to_owned())
            }
            Self::Survivors { .. } => {
                Some("end them by id with `kill -9`, then run `cargo xtask down` again".to_owned())
            }
            Self::Refused { .. } | Self::ObjectStore { .. } => None,
        }
    }
}
