//! A service under test: its proxy, and what its admin server says.

use std::{error::Error as _, time::Duration};

use blueprint::Component;
use host::Plan;
use lab::ports;
use messaging::tracer::TracerKind;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::{ChaosError, proxy::Proxy};

/// Longer than the producer's own publish timeout, which answers first.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The producer or the consumer.
pub(crate) struct Service {
    pub(crate) component: Component,
    pub(crate) proxy: Proxy,
    admin: String,
    http: reqwest::Client,
}

/// A confirmed tracer message.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Receipt {
    pub(crate) message_id: Uuid,
    pub(crate) producer_id: Uuid,
    pub(crate) sequence: u64,
}

impl Service {
    /// Puts a proxy, at `from` or the next free port, between the service and the broker at `target`.
    pub(super) async fn start(
        component: Component,
        plan: &Plan,
        from: u16,
        target: u16,
    ) -> Result<Self, ChaosError> {
        let owner = format!("{component}/proxy");
        let proxy = Proxy::start(ports::next_free(&owner, from, ports::is_free)?, target).await?;
        let port = plan.ports.get(component, "admin").unwrap_or_default();
        Ok(Self {
            component,
            proxy,
            admin: format!("http://127.0.0.1:{port}"),
            http: client()?,
        })
    }

    /// Why the service is not ready; `None` when it is.
    pub(crate) async fn obstacle(&self) -> Result<Option<String>, String> {
        let request = self.http.get(format!("{}/readyz", self.admin));
        let response = request.send().await.map_err(told)?;
        if response.status().is_success() {
            return Ok(None);
        }
        response.text().await.map(Some).map_err(told)
    }

    /// Whether the service is not ready for a reason that contains `part`; what it says instead is the error.
    pub(crate) async fn says(&self, part: &str) -> Result<(), String> {
        let component = self.component;
        match self.obstacle().await? {
            Some(reason) if reason.contains(part) => Ok(()),
            Some(reason) => Err(format!("{component}: {reason}")),
            None => Err(format!("{component} is ready")),
        }
    }

    /// The value of a counter without labels.
    pub(crate) async fn counter(&self, name: &str) -> Result<u64, String> {
        let request = self.http.get(format!("{}/metrics", self.admin));
        let response = request.send().await.map_err(told)?;
        let text = response.text().await.map_err(told)?;
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
            .ok_or_else(|| format!("no counter {name}"))
    }

    /// Makes the producer publish a tracer message and waits for its confirm.
    pub(crate) async fn publish(&self, kind: TracerKind) -> Result<Receipt, String> {
        let request = self
            .http
            .post(format!("{}/tracer", self.admin))
            .json(&json!({ "kind": kind }));
        let response = request.send().await.map_err(told)?;
        if response.status().is_success() {
            return response.json().await.map_err(told);
        }
        Err(response.text().await.unwrap_or_else(told))
    }
}

pub(super) fn client() -> Result<reqwest::Client, ChaosError> {
    // Everything is on loopback, never behind a proxy that the environment names.
    reqwest::Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        .build()
        .map_err(ChaosError::Http)
}

/// The innermost cause, which says more than that a request failed.
pub(super) fn told(error: reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(|cause| cause.source()) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}
