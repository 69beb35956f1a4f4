//! Requests to one repository: logged in where the registry wants it, made again where it asks to wait.

use std::time::{Duration, Instant};

use oci_client::{RegistryOperation, secrets::RegistryAuth};
use reqwest::{Method, RequestBuilder, Response, header};

use super::{Shared, client::Client, failure::Fault};
use crate::{
    Digest, OciError, Reference,
    credentials::{self, Login},
    manifest::{DOCKER_LIST, DOCKER_MANIFEST, INDEX, MANIFEST, MAX_MANIFEST_BYTES, media_type_of},
};

/// How often a registry is waited for that has too many requests.
const WAITS: u32 = 4;

/// The longest single wait. A registry that asks for more is not waited for.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The header by which a registry tells a manifest's digest (distribution specification, "Pulling manifests").
const DIGEST_HEADER: &str = "docker-content-digest";

/// What a login gave.
#[derive(Clone)]
pub(super) enum Authorization {
    Bearer(String),
    Basic(credentials::Credentials),
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Authorization(..)")
    }
}

/// How often a request was made.
pub(super) struct Tries {
    logged_in: bool,
    waits: u32,
    started: Instant,
}

impl Tries {
    pub(super) fn start() -> Self {
        Self {
            logged_in: false,
            waits: 0,
            started: Instant::now(),
        }
    }
}

/// Requests to the repository of a reference.
pub(super) struct Session<'a> {
    shared: &'a Shared,
    pub(super) client: &'a Client,
    pub(super) reference: &'a Reference,
    /// The repository for the library, which takes it from references.
    pub(super) repository: oci_client::Reference,
}

impl<'a> Session<'a> {
    pub(super) fn new(shared: &'a Shared, client: &'a Client, reference: &'a Reference) -> Self {
        Self {
            shared,
            client,
            reference,
            repository: reference.to_library(),
        }
    }

    /// The digest of the manifest at a tag or digest, if there is one.
    pub(super) async fn head_manifest(&self, at: &str) -> Result<Option<Digest>, OciError> {
        let request = || self.manifest_request(Method::HEAD, at);
        let what = self.manifest_name(at);
        let response = match self.send(&what, RegistryOperation::Pull, request).await {
            Err(OciError::NotFound { .. }) => return Ok(None),
            other => other?,
        };
        match self.told_digest(&response, at)? {
            Some(digest) => Ok(Some(digest)),
            // The header is optional: the content tells, too.
            None => {
                let (bytes, _) = self.get_manifest(at).await?;
                Ok(Some(Digest::of(&bytes)))
            }
        }
    }

    /// The manifest at a tag or digest with its media type, checked against the digest asked for or told.
    pub(super) async fn get_manifest(&self, at: &str) -> Result<(Vec<u8>, String), OciError> {
        let what = self.manifest_name(at);
        let request = || self.manifest_request(Method::GET, at);
        let mut response = self.send(&what, RegistryOperation::Pull, request).await?;
        let told = self.told_digest(&response, at)?;
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| {
            super::failure::broken(self.reference.registry(), error.without_url())
        })? {
            bytes.extend_from_slice(&piece);
            if bytes.len() as u64 > MAX_MANIFEST_BYTES {
                return Err(OciError::malformed(
                    what,
                    format!("it is longer than {MAX_MANIFEST_BYTES} bytes"),
                ));
            }
        }
        let found = Digest::of(&bytes);
        for expected in [at.parse().ok(), told].into_iter().flatten() {
            if found != expected {
                return Err(OciError::Mismatch {
                    what,
                    expected,
                    found,
                });
            }
        }
        let media_type = media_type_of(&what, &bytes)?;
        Ok((bytes, media_type))
    }

    /// Puts a manifest at a tag or digest.
    pub(super) async fn put_manifest(
        &self,
        at: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<(), OciError> {
        let request = || {
            self.manifest_request(Method::PUT, at)
                .header(header::CONTENT_TYPE, media_type)
                .body(bytes.to_vec())
        };
        let what = format!("to take {}", self.manifest_name(at));
        let response = self.send(&what, RegistryOperation::Push, request).await?;
        match self.told_digest(&response, at)? {
            Some(found) if found != Digest::of(bytes) => Err(OciError::Mismatch {
                what: self.manifest_name(at),
                expected: Digest::of(bytes),
                found,
            }),
            _ => Ok(()),
        }
    }

    /// Returns when a failed request is to be made again: after a login, which is tried once, or after a wait.
    ///
    /// A loop at each caller and no function that takes the request: what such a closure returns is not [`Send`] for the
    /// compiler, and pushes would not run beside each other.
    pub(super) async fn again(
        &self,
        tries: &mut Tries,
        what: &str,
        operation: RegistryOperation,
        fault: Fault,
    ) -> Result<(), OciError> {
        let (status, reason, retry_after) = match fault {
            Fault::Final(error) => return Err(error),
            Fault::Answer {
                status,
                reason,
                retry_after,
            } => (status, reason, retry_after),
        };
        let registry = self.reference.registry().to_owned();
        match status {
            401 if !tries.logged_in && self.log_in(operation).await? => {
                tries.logged_in = true;
                Ok(())
            }
            401 | 403 => {
                let with = match (status, tries.logged_in) {
                    (401, false) => "; there are no credentials for it",
                    (401, true) => "; the credentials were not accepted",
                    _ => "",
                };
                Err(OciError::Denied {
                    registry,
                    repository: self.reference.repository().to_owned(),
                    status,
                    reason: format!("{reason}{with}"),
                })
            }
            404 => Err(OciError::NotFound {
                registry,
                what: what.to_owned(),
            }),
            429 => {
                let wait = retry_after.unwrap_or(Duration::from_secs(1 << tries.waits));
                if tries.waits == WAITS || wait > MAX_WAIT {
                    return Err(OciError::Throttled {
                        registry,
                        waited: tries.started.elapsed(),
                        retry_after,
                    });
                }
                tries.waits += 1;
                tokio::time::sleep(wait).await;
                Ok(())
            }
            _ => Err(OciError::Refused {
                registry,
                request: what.to_owned(),
                reason,
            }),
        }
    }

    pub(super) fn no_manifest(&self, at: &str) -> OciError {
        OciError::NotFound {
            registry: self.reference.registry().to_owned(),
            what: self.manifest_name(at),
        }
    }

    pub(super) fn manifest_name(&self, at: &str) -> String {
        format!("the manifest {at} of {}", self.reference.repository())
    }

    pub(super) fn blob_name(&self, digest: Digest) -> String {
        format!("the blob {digest} of {}", self.reference.repository())
    }

    pub(super) async fn send(
        &self,
        what: &str,
        operation: RegistryOperation,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, OciError> {
        let mut tries = Tries::start();
        loop {
            let request = match self.authorization() {
                None => request(),
                Some(Authorization::Bearer(token)) => request().bearer_auth(token),
                Some(Authorization::Basic(credentials)) => {
                    request().basic_auth(credentials.user, Some(credentials.password))
                }
            };
            let fault = match request.send().await {
                Ok(response) if response.status().is_success() => return Ok(response),
                Ok(response) => Fault::answer(response).await,
                Err(error) => Fault::request(self.reference.registry(), error),
            };
            self.again(&mut tries, what, operation, fault).await?;
        }
    }

    fn manifest_request(&self, method: Method, at: &str) -> RequestBuilder {
        self.request(method, &format!("manifests/{at}")).header(
            header::ACCEPT,
            [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(", "),
        )
    }

    pub(super) fn blob_request(&self, method: Method, digest: &Digest) -> RequestBuilder {
        self.request(method, &format!("blobs/{digest}"))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!(
            "{}://{}/v2/{}/{path}",
            self.client.scheme,
            // Docker Hub's registry has another name than its images.
            self.repository.resolve_registry(),
            self.reference.repository(),
        );
        self.client.http.request(method, url)
    }

    /// The digest that the registry tells, which must be the one that was asked for by digest.
    fn told_digest(&self, response: &Response, at: &str) -> Result<Option<Digest>, OciError> {
        let told = response.headers().get(DIGEST_HEADER);
        let told = told.and_then(|value| value.to_str().ok());
        let Some(found) = told.filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let found: Digest = found.parse()?;
        match at.parse::<Digest>() {
            Ok(expected) if expected != found => Err(OciError::Mismatch {
                what: self.manifest_name(at),
                expected,
                found,
            }),
            _ => Ok(Some(found)),
        }
    }

    /// Logs in. `false` if there is nothing to log in with and the registry gives nothing to those without.
    async fn log_in(&self, operation: RegistryOperation) -> Result<bool, OciError> {
        let registry = self.reference.registry();
        let login = match &self.shared.settings.docker_config {
            Some(directory) => credentials::find(directory, registry).await?,
            None => None,
        };
        let auth = match &login {
            Some(Login::Password(credentials)) => {
                RegistryAuth::Basic(credentials.user.clone(), credentials.password.clone())
            }
            Some(Login::IdentityToken(token)) => {
                RegistryAuth::Bearer(self.access_token(token, operation).await?)
            }
            None => RegistryAuth::Anonymous,
        };
        let what = format!("a login for {}", self.reference.repository());
        let library = &self.client.library;
        let token = library
            .auth(&self.repository, &auth, operation)
            .await
            .map_err(|error| self.no_login(Fault::library(registry, &what, error)))?;
        let authorization = match (token, login) {
            (Some(token), _) => Authorization::Bearer(token),
            (None, Some(Login::Password(credentials))) => Authorization::Basic(credentials),
            (None, _) => return Ok(false),
        };
        let mut logins = self
            .shared
            .logins
            .lock()
            .unwrap_or_else(|lock| lock.into_inner());
        logins.insert(self.login_key(), authorization);
        Ok(true)
    }

    /// The error of a login that failed.
    pub(super) fn no_login(&self, fault: Fault) -> OciError {
        match fault {
            Fault::Final(error) => error,
            Fault::Answer { status, reason, .. } => OciError::Denied {
                registry: self.reference.registry().to_owned(),
                repository: self.reference.repository().to_owned(),
                status,
                reason,
            },
        }
    }

    fn authorization(&self) -> Option<Authorization> {
        let logins = self
            .shared
            .logins
            .lock()
            .unwrap_or_else(|lock| lock.into_inner());
        logins.get(&self.login_key()).cloned()
    }

    fn login_key(&self) -> (String, String) {
        (
            self.reference.registry().to_owned(),
            self.reference.repository().to_owned(),
        )
    }
}
