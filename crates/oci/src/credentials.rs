//! Credentials as `docker login` leaves them: in Docker's `config.json`, or with a program that keeps them.
//!
//! Source: `docker login` reference, "Credential stores" and "Credential helper protocol".

use std::{collections::BTreeMap, fmt, io, path::Path, process::Stdio, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use tokio::{io::AsyncWriteExt as _, process::Command};

use crate::{OciError, manifest::parse};

/// A helper that asks somebody for a password takes longer than one that has it.
const HELPER_BOUND: Duration = Duration::from_secs(60);

/// The key under which Docker keeps the credentials of Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// The user's name by which a helper says that it gives an identity token.
const IDENTITY_TOKEN: &str = "<token>";

/// What a registry is logged in to with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Login {
    Password(Credentials),
    IdentityToken(IdentityToken),
}

/// What a registry that logs people in elsewhere has given for access tokens later. It is not shown.
#[derive(PartialEq, Eq)]
pub(crate) struct IdentityToken(pub(crate) String);

impl fmt::Debug for IdentityToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("IdentityToken(..)")
    }
}

/// A name with its password. Neither is shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials(..)")
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    identitytoken: Option<String>,
}

/// What a helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    username: String,
    secret: String,
}

/// The credentials for a registry in the `config.json` of this directory: of its own helper, else of the store, else of
/// the file.
///
/// # Errors
/// [`OciError::Credentials`] for a file that is malformed and a helper that fails. Missing ones are no error.
pub(crate) async fn find(directory: &Path, registry: &str) -> Result<Option<Login>, OciError> {
    let path = directory.join("config.json");
    let unusable = |reason: String| OciError::Credentials {
        place: path.display().to_string(),
        reason,
    };
    let bytes = match tokio::fs::read(&path).await {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(error.to_string())),
    };
    let config: DockerConfig = parse("it", &bytes).map_err(|error| unusable(error.to_string()))?;
    let keys = keys(registry);
    let own = keys.iter().find_map(|key| config.cred_helpers.get(key));
    if let Some(helper) = own.or(config.creds_store.as_ref()) {
        for key in &keys {
            if let Some(kept) = ask(helper, key).await? {
                return Ok(Some(kept));
            }
        }
    }
    let is_there = |text: &&String| !text.is_empty();
    let Some(entry) = keys.iter().find_map(|key| config.auths.get(key)) else {
        return Ok(None);
    };
    // Beside it `auth` has the user's name alone.
    if let Some(token) = entry.identitytoken.as_ref().filter(is_there) {
        return Ok(Some(Login::IdentityToken(IdentityToken(token.clone()))));
    }
    let Some(auth) = entry.auth.as_ref().filter(is_there) else {
        return Ok(None);
    };
    // The reason does not quote it: it is a password.
    let decoded = STANDARD.decode(auth).ok();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.as_deref().and_then(|text| text.split_once(':')) {
        Some((user, password)) => Ok(Some(Login::Password(Credentials {
            user: user.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
        }))),
        None => Err(unusable(format!(
            "`auth` of {registry} is not user:password in base64"
        ))),
    }
}

/// The names under which a registry may be kept, Docker's own first.
fn keys(registry: &str) -> Vec<String> {
    if registry == "docker.io" {
        return [DOCKER_HUB, "index.docker.io", "docker.io"]
            .map(str::to_owned)
            .to_vec();
    }
    vec![registry.to_owned(), format!("https://{registry}")]
}

/// Asks `docker-credential-<helper> get`: the key on its input, the answer as JSON on its output.
async fn ask(helper: &str, key: &str) -> Result<Option<Login>, OciError> {
    let program = format!("docker-credential-{helper}");
    let unusable = |reason: String| OciError::Credentials {
        place: format!("`{program}`"),
        reason,
    };
    if helper.contains('/') {
        return Err(unusable(
            "a helper is named, not given by its path".to_owned(),
        ));
    }
    let talk = async {
        let mut child = Command::new(&program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            // A helper that does not read gets no key; what it answers then tells.
            let _ = input.write_all(key.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(HELPER_BOUND, talk)
        .await
        .map_err(|_| unusable(format!("no answer within {} s", HELPER_BOUND.as_secs())))?
        .map_err(|error| unusable(error.to_string()))?;
    if !output.status.success() {
        let answer = String::from_utf8_lossy(&output.stdout);
        // The protocol has no other way to say so.
        if answer.contains("credentials not found") {
            return Ok(None);
        }
        return Err(unusable(format!("{}: {}", output.status, answer.trim())));
    }
    // Its output is not quoted: it has a password in it.
    let kept: Kept = serde_json::from_slice(&output.stdout)
        .map_err(|_| unusable("its answer is not JSON with Username and Secret".to_owned()))?;
    if kept.username == IDENTITY_TOKEN {
        return Ok(Some(Login::IdentityToken(IdentityToken(kept.secret))));
    }
    Ok(Some(Login::Password(Credentials {
        user: kept.username,
        password: kept.secret,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(config: &str, registry: &str) -> Result<Option<Login>, OciError> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), config).unwrap();
        find(directory.path(), registry).await
    }

    #[tokio::test]
    async fn a_login_in_the_file_is_found_under_docker_s_keys() {
        // `lab:se:cret`
        for (key, registry) in [
            ("https://index.docker.io/v1/", "docker.io"),
            ("docker.io", "docker.io"),
            ("quay.io", "quay.io"),
            ("https://quay.io", "quay.io"),
            ("127.0.0.1:5000", "127.0.0.1:5000"),
        ] {
            let config = format!(r#"{{"auths":{{"{key}":{{"auth":"bGFiOnNlOmNyZXQ="}}}}}}"#);
            let Some(Login::Password(credentials)) = found(&config, registry).await.unwrap() else {
                panic!("no password");
            };
            assert_eq!(credentials.user, "lab");
            assert_eq!(credentials.password, "se:cret");
            assert!(!format!("{credentials:?}").contains("cret"));
            assert_eq!(found(&config, "ghcr.io").await.unwrap(), None);
        }
        // What Docker writes where a store keeps the password.
        assert_eq!(
            found(r#"{"auths":{"quay.io":{}}}"#, "quay.io")
                .await
                .unwrap(),
            None
        );
    }

    #[tokio::test]
    async fn an_identity_token_goes_before_the_name_beside_it() {
        // `lab:`
        let config = r#"{"auths":{"quay.io":{"auth":"bGFiOg==","identitytoken":"secret"}}}"#;
        let login = found(config, "quay.io").await.unwrap();
        let expected = Login::IdentityToken(IdentityToken("secret".to_owned()));
        assert_eq!(login, Some(expected));
        assert!(!format!("{login:?}").contains("secret"));
    }

    #[tokio::test]
    async fn no_file_is_no_error_but_a_malformed_one_is() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(find(directory.path(), "quay.io").await.unwrap(), None);
        let error = found("{", "quay.io").await.unwrap_err();
        assert!(error.to_string().contains("config.json"), "{error}");
        let secret = r#"{"auths":{"quay.io":{"auth":"c2VjcmV0"}}}"#;
        let error = found(secret, "quay.io").await.unwrap_err().to_string();
        assert!(error.contains("not user:password"), "{error}");
        assert!(
            !error.contains("secret") && !error.contains("c2Vj"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_helper_that_is_missing_is_named() {
        let config = r#"{"credHelpers":{"quay.io":"no-such-helper"}}"#;
        let error = found(config, "quay.io").await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("docker-credential-no-such-helper")
        );
        assert!(error.hint().is_some());
        assert_eq!(found(config, "ghcr.io").await.unwrap(), None);
        let config = r#"{"credsStore":"../evil"}"#;
        let error = found(config, "ghcr.io").await.unwrap_err().to_string();
        assert!(error.contains("not given by its path"), "{error}");
    }
}
