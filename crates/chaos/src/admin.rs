//! What a service's admin server says, and the tracer messages that it publishes on request.

use std::{error::Error as _, time::Duration};

use messaging::tracer::TracerKind;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::ChaosError;

/// Longer than the producer's own publish timeout, which answers first.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The admin server of a service.
#[derive(Clone, Debug)]
pub struct Admin {
    url: String,
    http: reqwest::Client,
}

/// A confirmed tracer message.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Receipt {
    /// Its `message_id`.
    pub message_id: Uuid,
    /// Who published it.
    pub producer_id: Uuid,
    /// Its number among that producer's.
    pub sequence: u64,
}

impl Admin {
    /// The admin server at this address of 127.0.0.1.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn at(port: u16) -> Result<Self, ChaosError> {
        Ok(Self {
            url: format!("http://127.0.0.1:{port}"),
            http: client()?,
        })
    }

    /// Why the service is not ready; `None` when it is.
    ///
    /// # Errors
    /// Why it does not answer.
    pub async fn obstacle(&self) -> Result<Option<String>, String> {
        let request = self.http.get(format!("{}/readyz", self.url));
        let response = request.send().await.map_err(told)?;
        if response.status().is_success() {
            return Ok(None);
        }
        response.text().await.map(Some).map_err(told)
    }

    /// [`Self::obstacle`] in words for people.
    pub async fn says(&self) -> String {
        match self.obstacle().await {
            Ok(None) => "ready".to_owned(),
            Ok(Some(reason)) | Err(reason) => reason,
        }
    }

    /// The value of a counter without labels.
    ///
    /// # Errors
    /// Why it does not answer, or that it has no such counter.
    pub async fn counter(&self, name: &str) -> Result<u64, String> {
        let request = self.http.get(format!("{}/metrics", self.url));
        let response = request.send().await.map_err(told)?;
        let text = response.text().await.map_err(told)?;
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
            .ok_or_else(|| format!("no counter {name}"))
    }

    /// Makes the producer publish a tracer message and waits for its confirm.
    ///
    /// # Errors
    /// Why it was not confirmed.
    pub async fn publish(&self, kind: TracerKind) -> Result<Receipt, String> {
        let request = self
            .http
            .post(format!("{}/tracer", self.url))
            .json(&json!({ "kind": kind }));
        let response = request.send().await.map_err(told)?;
        if response.status().is_success() {
            return response.json().await.map_err(told);
        }
        Err(response.text().await.unwrap_or_else(told))
    }
}

pub(crate) fn client() -> Result<reqwest::Client, ChaosError> {
    // Everything is on loopback, never behind a proxy that the environment names.
    reqwest::Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        .build()
        .map_err(ChaosError::Http)
}

/// The innermost cause, which says more than that a request failed.
pub(crate) fn told(error: reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(|cause| cause.source()) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}
