//! Alertmanager's HTTP API: the alerts it holds.
//!
//! Source: Alertmanager, `api/v2/openapi.yaml`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::{ClientError, Endpoint};

/// Alertmanager.
#[derive(Clone, Debug)]
pub(crate) struct Alertmanager(pub(crate) Endpoint);

/// An alert that Alertmanager holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Alert {
    labels: BTreeMap<String, String>,
    /// When somebody last sent it.
    pub(crate) updated_at: Timestamp,
}

impl Alertmanager {
    /// The alerts of this name.
    pub(crate) async fn alerts(&self, name: &str) -> Result<Vec<Alert>, ClientError> {
        let all: Vec<Alert> = self.0.get("/api/v2/alerts").json().await?;
        Ok(all
            .into_iter()
            .filter(|alert| alert.labels.get("alertname").is_some_and(|is| is == name))
            .collect())
    }
}
