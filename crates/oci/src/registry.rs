//! A registry: where images are pushed to and pulled from.
//!
//! The registry library does the logins and moves the blobs. Manifests go beside it, for four reasons found in its version
//! 0.18: its HEAD request of a manifest is preceded by a `GET /v2/` each time where no login is needed, and followed by a
//! GET where there is no manifest; it panics on a manifest pushed by digest to a registry that answers without `Location`;
//! it reads manifests of any size into memory; and it drops the header `Retry-After`.
//!
//! Source: OCI distribution specification 1.1.

mod client;
mod failure;
mod oauth;
mod proxy;
mod pull;
mod push;
mod session;

use std::{
    collections::HashMap,
    env,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use client::Clients;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
pub(crate) use pull::{Sink, blocking};
use session::{Authorization, Session};

use crate::{Digest, OciError, Reference};

/// How many blobs are on their way at once: enough to fill a line while one of them waits for an answer or for the disk.
pub(crate) const PARALLEL: usize = 4;

/// How many manifests are asked for beside each other: small answers, which take their time on the way.
pub(crate) const QUESTIONS: usize = 8;

/// Runs up to `most` of these at once. The results are in their order; with the first error the others end.
pub(crate) async fn side_by_side<T>(
    futures: impl IntoIterator<Item = impl Future<Output = Result<T, OciError>>>,
    most: usize,
) -> Result<Vec<T>, OciError> {
    // In a list: the compiler does not see that a stream of what a closure makes is `Send`.
    let futures: Vec<_> = futures.into_iter().collect();
    stream::iter(futures).buffered(most).try_collect().await
}

/// How registries are reached.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Registries, as `host` or `host:port`, that speak plain HTTP. Those on loopback do anyway.
    pub plain_http: Vec<String>,
    /// A file of certificate authorities in PEM that are trusted besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// The directory of Docker's `config.json`, read when a registry wants a login; without it nobody logs in.
    pub docker_config: Option<PathBuf>,
}

impl Settings {
    /// With Docker's configuration where Docker has it: in `DOCKER_CONFIG`, else in `~/.docker`.
    pub fn from_environment() -> Self {
        let directory = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        Self {
            docker_config: directory("DOCKER_CONFIG")
                .map(PathBuf::from)
                .or_else(|| Some(PathBuf::from(directory("HOME")?).join(".docker"))),
            ..Self::default()
        }
    }
}

/// What a push or pull came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The digest of the manifest or index.
    pub digest: Digest,
    /// How many blobs went over the network; those that were there did not.
    pub blobs: usize,
    /// Their size in bytes.
    pub bytes: u64,
}

/// Pushes and pulls. It keeps connections and logins, so that one value should serve a command.
///
/// Proxies are those of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`), for everything but
/// loopback. A registry that asks to wait (429) is waited for a few times, as long as it asks and a minute at most.
#[derive(Clone, Debug)]
pub struct Registry {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    clients: Clients,
    /// By registry and repository, which is what a token is good for.
    logins: Mutex<HashMap<(String, String), Authorization>>,
}

impl Registry {
    /// Makes no connection yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            shared: Arc::new(Shared {
                clients: Clients::default(),
                logins: Mutex::default(),
                settings,
            }),
        }
    }

    /// The digest that a tag stands for, or the digest itself if there is such a manifest: one HEAD request.
    ///
    /// # Errors
    /// [`OciError::NotFound`], [`OciError::Denied`], [`OciError::Unreachable`], [`OciError::Tls`],
    /// [`OciError::Throttled`], [`OciError::Refused`]; [`OciError::Mismatch`] from a registry that gives another digest
    /// than it was asked for.
    pub async fn resolve(&self, reference: &Reference) -> Result<Digest, OciError> {
        let session = self.session(reference).await?;
        match session.head_manifest(&reference.at()).await? {
            Some(digest) => Ok(digest),
            None => Err(session.no_manifest(&reference.at())),
        }
    }

    async fn session<'a>(&'a self, reference: &'a Reference) -> Result<Session<'a>, OciError> {
        let client = self
            .shared
            .clients
            .get(&self.shared.settings, reference.registry())
            .await?;
        Ok(Session::new(&self.shared, client, reference))
    }
}
