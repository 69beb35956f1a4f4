//! Access tokens for identity tokens: what `docker login` leaves where people log in at a page instead of with a password.
//!
//! The registry library sends names and passwords alone. What comes of the exchange it takes as it is.
//!
//! Source: distribution project, "OAuth2 token specification", and RFC 6749, section 6.

use oci_client::RegistryOperation;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use serde::Deserialize;

use super::{
    failure::{Fault, broken},
    session::Session,
};
use crate::{OciError, credentials::IdentityToken};

/// The name under which the lab asks; it says nothing about the user.
const CLIENT: &str = "lab";

/// Where access tokens are to be had.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    realm: String,
    service: String,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

impl Session<'_> {
    /// Exchanges an identity token for one that is good for this repository.
    pub(super) async fn access_token(
        &self,
        identity: &IdentityToken,
        operation: RegistryOperation,
    ) -> Result<String, OciError> {
        let registry = self.reference.registry();
        let lost = |error: reqwest::Error| broken(registry, error.without_url());
        let refused = |reason: &str| {
            self.no_login(Fault::Answer {
                status: 401,
                reason: reason.to_owned(),
                retry_after: None,
            })
        };
        let scheme = self.client.scheme;
        let base = format!("{scheme}://{}/v2/", self.repository.resolve_registry());
        let response = self.client.http.get(base).send().await.map_err(lost)?;
        let challenge = challenge(response.headers())
            .ok_or_else(|| refused("it takes no identity token, and none else is kept for it"))?;
        if scheme == "https" && !challenge.realm.starts_with("https://") {
            return Err(refused("it wants the identity token sent in the clear"));
        }
        let repository = self.reference.repository();
        let scope = match operation {
            RegistryOperation::Pull => format!("repository:{repository}:pull"),
            RegistryOperation::Push => format!("repository:{repository}:pull,push"),
        };
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &identity.0),
            ("client_id", CLIENT),
            ("service", &challenge.service),
            ("scope", &scope),
        ];
        let request = self.client.http.post(&challenge.realm).form(&form);
        let response = request.send().await.map_err(lost)?;
        if !response.status().is_success() {
            return Err(self.no_login(Fault::answer(response).await));
        }
        // The reason does not quote it: it is a token.
        let malformed =
            |_| OciError::malformed(challenge.realm.clone(), "it gives no access token");
        let granted: Granted = response.json().await.map_err(malformed)?;
        Ok(granted.access_token)
    }
}

/// The first challenge for a token.
fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let headers = headers.get_all(WWW_AUTHENTICATE).iter();
    let texts = headers.filter_map(|value| value.to_str().ok());
    let mut challenges = texts.filter_map(|text| http_auth::parse_challenges(text).ok());
    challenges.find_map(|challenges| {
        let bearer = challenges
            .into_iter()
            .find(|challenge| challenge.scheme.eq_ignore_ascii_case("bearer"))?;
        let parameter = |name: &str| {
            let mut all = bearer.params.iter();
            let (_, value) = all.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            Some(value.to_unescaped())
        };
        Some(Challenge {
            realm: parameter("realm")?,
            service: parameter("service").unwrap_or_default(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(values: &[&'static str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        challenge(&headers)
    }

    #[test]
    fn the_challenge_for_a_token_is_found_among_others() {
        let expected = Challenge {
            realm: "https://auth.example.org/token".to_owned(),
            service: "registry, main".to_owned(),
        };
        let bearer = r#"bearer realm="https://auth.example.org/token",service="registry, main""#;
        assert_eq!(read(&[r#"Basic realm="x""#, bearer]), Some(expected));
        for other in [&[][..], &[r#"Basic realm="x""#], &["Bearer"], &["="]] {
            assert_eq!(read(other), None);
        }
    }
}
