//! What a failed request means: the answers and errors of the HTTP client and of the registry library in one form.

use std::{error::Error, io, time::Duration};

use oci_client::errors::{DigestError, OciDistributionError, OciErrorCode};
use reqwest::{StatusCode, header};
use serde::Deserialize;

use crate::OciError;

/// As much of a refusal as an error quotes.
const QUOTE: usize = 300;

/// A failed request, before it is known whether it is made again.
#[derive(Debug)]
pub(super) enum Fault {
    /// An answer other than success.
    Answer {
        status: u16,
        reason: String,
        retry_after: Option<Duration>,
    },
    /// Anything else.
    Final(OciError),
}

impl Fault {
    /// An answer without a body: to HEAD.
    pub(super) fn status(status: StatusCode) -> Self {
        Self::Answer {
            status: status.as_u16(),
            reason: status.to_string(),
            retry_after: None,
        }
    }

    /// Of an answer other than success, with what its body says.
    pub(super) async fn answer(response: reqwest::Response) -> Self {
        let status = response.status();
        let retry_after = response
            .headers()
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let body = response.text().await.unwrap_or_default();
        Self::Answer {
            status: status.as_u16(),
            reason: quote(status.as_str(), &body),
            retry_after,
        }
    }

    /// Of the HTTP client.
    pub(super) fn request(registry: &str, error: reqwest::Error) -> Self {
        match error.status() {
            Some(status) => Self::status(status),
            None => Self::Final(broken(registry, error.without_url())),
        }
    }

    /// Of the registry library, on `what`.
    pub(super) fn library(registry: &str, what: &str, error: OciDistributionError) -> Self {
        let answer = |status: u16, reason: String| Self::Answer {
            status,
            reason,
            retry_after: None,
        };
        match error {
            OciDistributionError::RequestError(error) => Self::request(registry, error),
            OciDistributionError::IoError(error) => Self::Final(stream(registry, what, error)),
            OciDistributionError::UnauthorizedError { .. } => answer(401, "401".to_owned()),
            OciDistributionError::AuthenticationFailure(body) => answer(401, quote("401", &body)),
            OciDistributionError::ServerError { code, message, .. } => {
                answer(code, quote(&code.to_string(), &message))
            }
            OciDistributionError::RegistryError { envelope, .. } => {
                let status = envelope
                    .errors
                    .first()
                    .map_or(400, |error| status_of(&error.code));
                let texts = envelope.errors.iter().map(|error| error.message.as_str());
                let texts: Vec<&str> = texts.collect();
                answer(status, format!("{status}, {}", texts.join("; ")))
            }
            OciDistributionError::DigestError(error) => Self::Final(digest(what, &error)),
            other => Self::Final(OciError::Refused {
                registry: registry.to_owned(),
                request: what.to_owned(),
                reason: other.to_string(),
            }),
        }
    }
}

/// The status that belongs to a code (distribution specification, "Error Codes"); the library keeps the code alone.
fn status_of(code: &OciErrorCode) -> u16 {
    match code {
        OciErrorCode::Unauthorized => 401,
        OciErrorCode::Denied => 403,
        OciErrorCode::BlobUnknown
        | OciErrorCode::ManifestBlobUnknown
        | OciErrorCode::ManifestUnknown
        | OciErrorCode::NameUnknown
        | OciErrorCode::NotFound => 404,
        OciErrorCode::Toomanyrequests => 429,
        _ => 400,
    }
}

/// Of a body that broke off.
pub(super) fn stream(registry: &str, what: &str, error: io::Error) -> OciError {
    let inner = error.get_ref();
    if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<DigestError>()) {
        return digest(what, error);
    }
    broken(registry, error)
}

fn digest(what: &str, error: &DigestError) -> OciError {
    if let DigestError::VerificationError { expected, actual } = error
        && let (Ok(expected), Ok(found)) = (expected.parse(), actual.parse())
    {
        return OciError::Mismatch {
            what: what.to_owned(),
            expected,
            found,
        };
    }
    OciError::malformed(what, error)
}

/// Of a connection that was not made or was lost.
pub(super) fn broken(registry: &str, error: impl Error + Send + Sync + 'static) -> OciError {
    let registry = registry.to_owned();
    if is_tls(&error) {
        return OciError::Tls {
            registry,
            source: Box::new(error),
        };
    }
    OciError::Unreachable {
        registry,
        source: Box::new(error),
    }
}

fn is_tls(error: &(dyn Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    // The source of an I/O error is its inner error's source: the inner error itself would be passed over.
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match inner {
        Some(inner) => is_tls(inner),
        None => error.source().is_some_and(is_tls),
    }
}

/// The status with the messages of a registry's body, or as much of another body as fits.
fn quote(status: &str, body: &str) -> String {
    #[derive(Deserialize)]
    struct Envelope {
        errors: Vec<Message>,
    }
    #[derive(Deserialize)]
    struct Message {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let text = match serde_json::from_str::<Envelope>(body) {
        Ok(envelope) => {
            let texts = envelope.errors.iter();
            let texts = texts.map(|error| format!("{}: {}", error.code, error.message));
            texts.collect::<Vec<_>>().join("; ")
        }
        Err(_) => body.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    if text.is_empty() {
        return status.to_owned();
    }
    format!("{status}, {}", text.chars().take(QUOTE).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_quoted_shortly() {
        let body = r#"{"errors":[{"code":"DENIED","message":"not yours","detail":null}]}"#;
        assert_eq!(quote("403", body), "403, DENIED: not yours");
        assert_eq!(
            quote("502", "<html>\n bad </html>"),
            "502, <html> bad </html>"
        );
        assert_eq!(quote("502", ""), "502");
        assert!(quote("502", &"x".repeat(1000)).len() < 400);
    }

    #[test]
    fn a_tls_error_is_found_within_others() {
        let tls = io::Error::other(rustls::Error::DecryptError);
        let nested = io::Error::other(io::Error::other(tls));
        assert!(matches!(broken("x", nested), OciError::Tls { .. }));
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(matches!(broken("x", refused), OciError::Unreachable { .. }));
    }
}
