//! What can go wrong with a lab's directory, and what to do about it.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A failure to read, write or lock what a lab remembers. Each message speaks for its own level; [`LabError::hint`] says
/// what to do next.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A file or directory could not be read or written.
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
    /// A file does not say what it should.
    #[error("{} is malformed: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The directory was written by another version of the lab.
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
    /// The lab exists and something else runs it.
    #[error("the lab in {} is run by the {found} engine, not by the {asked} engine", path.display())]
    OtherEngine {
        /// The lab's directory.
        path: PathBuf,
        /// The engine that the lab has.
        found: &'static str,
        /// The engine that was asked for.
        asked: &'static str,
    },
    /// No free port was found near the preferred one.
    #[error("no free TCP port on 127.0.0.1 between {first} and {last} for {owner}")]
    NoPort {
        /// Who wants it.
        owner: String,
        /// The first port tried.
        first: u16,
        /// The last port tried.
        last: u16,
    },
}

impl LabError {
    /// An error about a file, for `map_err`.
    pub fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
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
            Self::OtherEngine { path, .. } => Some(format!(
                "give the new lab another name with --name, or {}",
                purge(path)
            )),
            Self::NoPort { .. } => {
                Some("end what holds those ports; `ss -ltnp` lists it".to_owned())
            }
            Self::Malformed { .. } | Self::File { .. } => None,
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
