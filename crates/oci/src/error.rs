//! What can go wrong with images, layouts and registries, and what to do about it.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::Digest;

/// A failure of this crate. Each message speaks for its own level; [`OciError::hint`] says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
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
    /// A text is no digest, image reference or platform.
    #[error("`{text}` is no {kind}: {reason}")]
    Name {
        /// What it should be: `digest`, `image reference`, `platform`.
        kind: &'static str,
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that cannot be packed, or an entry of an archive that cannot be unpacked.
    #[error("{} cannot be in an archive: {reason}", path.display())]
    Entry {
        /// The file or entry.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Something that was read is not what its format says.
    #[error("{what} is malformed: {reason}")]
    Malformed {
        /// The file, blob or answer.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A content is not the one that its digest names.
    #[error("{what} has the digest {found}, expected {expected}")]
    Mismatch {
        /// Where the content was read.
        what: String,
        /// The digest it was asked by.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// A layout or bundle has no image of this name.
    #[error("there is no image `{name}` in {place}")]
    NoImage {
        /// The name asked for.
        name: String,
        /// The layout or bundle.
        place: String,
        /// The names that it has.
        known: Vec<String>,
    },
    /// An image does not exist for a platform.
    #[error("{image} has no variant for {platform}")]
    NoPlatform {
        /// The image.
        image: String,
        /// The platform asked for, as `os/architecture`.
        platform: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// Another command is writing the same blob or bundle.
    #[error("another command is writing {}", path.display())]
    Busy {
        /// The unfinished file.
        path: PathBuf,
    },
    /// Nothing answered, or what answered went away.
    #[error("the registry {registry} cannot be reached")]
    Unreachable {
        /// The registry's host and port.
        registry: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A connection was made but could not be secured.
    #[error("no TLS connection to the registry {registry}")]
    Tls {
        /// The registry's host and port.
        registry: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The registry wants other credentials (401) or allows them less (403).
    #[error("the registry {registry} denies access to {repository} ({status}): {reason}")]
    Denied {
        /// The registry's host and port.
        registry: String,
        /// The repository.
        repository: String,
        /// The HTTP status.
        status: u16,
        /// What the registry said, and whether credentials were sent.
        reason: String,
    },
    /// The registry does not have it (404).
    #[error("the registry {registry} does not have {what}")]
    NotFound {
        /// The registry's host and port.
        registry: String,
        /// The manifest or blob.
        what: String,
    },
    /// The registry still asked to wait after it was waited for (429).
    #[error("the registry {registry} refuses more requests, after waiting {} s", waited.as_secs())]
    Throttled {
        /// The registry's host and port.
        registry: String,
        /// How long was waited in all.
        waited: Duration,
        /// How long the registry asked to wait further, where it said so.
        retry_after: Option<Duration>,
    },
    /// The registry refused a request for another reason.
    #[error("the registry {registry} refused {request}: {reason}")]
    Refused {
        /// The registry's host and port.
        registry: String,
        /// The request, as in `GET manifest of lab/consumer:1`.
        request: String,
        /// Its status and what it said.
        reason: String,
    },
    /// Docker's configuration or a credential helper could not be used.
    #[error("no credentials from {place}: {reason}")]
    Credentials {
        /// The file or program.
        place: String,
        /// Why.
        reason: String,
    },
    /// The settings do not make a client: a CA file without a certificate, a malformed proxy.
    #[error("cannot make a client for the registry {registry}")]
    Client {
        /// The registry's host and port.
        registry: String,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl OciError {
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

    pub(crate) fn entry(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self::Entry {
            path: path.as_ref().to_owned(),
            reason: reason.into(),
        }
    }

    pub(crate) fn malformed(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Malformed {
            what: what.into(),
            reason: reason.to_string(),
        }
    }

    /// Of a content that could not be read on; an error of this crate that came through a reader stays what it was.
    pub(crate) fn content(what: &str, error: io::Error) -> Self {
        match error.downcast() {
            Ok(error) => error,
            Err(source) => Self::File {
                action: "read",
                path: what.into(),
                source,
            },
        }
    }

    /// What to do next, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File { action, path, source } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(
                    "free some disk space, then run the same command again: it goes on where it stopped".to_owned(),
                ),
                io::ErrorKind::PermissionDenied => {
                    Some("make the file accessible to this user".to_owned())
                }
                io::ErrorKind::NotFound if *action == "create" => {
                    let directory = path.parent()?.display();
                    Some(format!("make its directory first: `mkdir -p {directory}`"))
                }
                _ => None,
            },
            Self::Name { kind, .. } => Some(match *kind {
                "digest" => "write it as sha256: and 64 hexadecimal digits".to_owned(),
                "platform" => "write it as in linux/amd64 or linux/arm64".to_owned(),
                _ => "write it as registry[:port]/repository[:tag][@sha256:digest]".to_owned(),
            }),
            Self::Mismatch { .. } => Some(
                "do not use it; if it comes again, the registry's or layout's storage is damaged: push or copy the image anew"
                    .to_owned(),
            ),
            Self::NoImage { known, .. } | Self::NoPlatform { known, .. } if !known.is_empty() => {
                Some(format!("known are {}", known.join(", ")))
            }
            Self::Busy { .. } => Some("wait for it to end".to_owned()),
            Self::Unreachable { registry, .. } => Some(format!(
                "see whether {registry} is up and can be reached from here; behind a proxy, set HTTPS_PROXY and NO_PROXY"
            )),
            Self::Tls { registry, .. } => Some(format!(
                "give the file of its certificate authority; if {registry} speaks plain HTTP, name it as such"
            )),
            Self::Denied { registry, .. } => {
                Some(format!("log in with `docker login {registry}`"))
            }
            Self::NotFound { .. } => {
                Some("check repository and tag; what was never pushed cannot be pulled".to_owned())
            }
            Self::Throttled {
                registry,
                retry_after,
                ..
            } => Some(match retry_after {
                Some(wait) => format!("try again in {} s", wait.as_secs().max(1)),
                None => format!(
                    "try again later; `docker login {registry}` raises the limit of some registries"
                ),
            }),
            Self::Credentials { .. } => {
                Some("mend or remove it, or set DOCKER_CONFIG to another directory".to_owned())
            }
            Self::Client { .. } => {
                Some("check the file of the certificate authority and the proxy's address".to_owned())
            }
            Self::Entry { .. }
            | Self::Malformed { .. }
            | Self::NoImage { .. }
            | Self::NoPlatform { .. }
            | Self::Refused { .. } => None,
        }
    }
}
