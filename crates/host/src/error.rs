//! What can go wrong in the host engine, and what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// A failure of the host engine. Each message speaks for its own level; [`HostError::hint`] says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file or directory of the lab could not be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the lab or of `manifests/` does not say what it should.
    #[error("{} is malformed: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The lab's directory was written by another version of the lab.
    #[error("{} has state of version {found}, this program reads version {expected}", path.display())]
    Version {
        /// The lab's directory.
        path: PathBuf,
        /// The version found.
        found: u64,
        /// The version that this program writes.
        expected: u64,
    },
    /// Another bootstrap or down of the same lab is running.
    #[error("another command is changing the lab in {}", path.display())]
    Busy {
        /// The lab's directory.
        path: PathBuf,
    },
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
    /// No free port was found near the one that a component prefers.
    #[error("no free TCP port on 127.0.0.1 between {first} and {last} for {owner}")]
    NoPort {
        /// The component and its port's name.
        owner: String,
        /// The first port tried.
        first: u16,
        /// The last port tried.
        last: u16,
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
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    /// What to do next, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("free some disk space, then run the same command again".to_owned())
            }
            Self::File { source, path, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some(format!(
                    "make {} accessible to this user, or keep the lab elsewhere with --state DIR",
                    path.display()
                ))
            }
            Self::Version { path, .. } => Some(purge(path)),
            Self::Malformed { path, .. } if path.ends_with("lab.json") => path.parent().map(purge),
            Self::Busy { .. } => Some("wait for it to end, or end it with Ctrl-C".to_owned()),
            Self::MissingProgram { remedy, .. } => Some(remedy.clone()),
            Self::NoPort { .. } => {
                Some("end what holds those ports; `ss -ltnp` lists it".to_owned())
            }
            Self::NotRunning { .. } | Self::SupervisorSilent { .. } => {
                Some("bring the lab up with `cargo xtask bootstrap`".to_owned())
            }
            Self::Survivors { .. } => {
                Some("end them by id with `kill -9`, then run `cargo xtask down` again".to_owned())
            }
            Self::Malformed { .. }
            | Self::File { .. }
            | Self::Refused { .. }
            | Self::ObjectStore { .. } => None,
        }
    }
}

/// How to be rid of a lab whose state cannot be used; its directory has its name.
fn purge(lab: &Path) -> String {
    let name = lab.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "end and remove that lab with `cargo xtask down --purge --name {name}`, then bootstrap again"
    )
}
