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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::canned::success;

    #[tokio::test]
    async fn an_alert_tells_when_it_was_last_sent() {
        let body = r#"[{"annotations":{},"endsAt":"2026-11-24T00:31:32.716Z","fingerprint":"448881ef475b9b26",
            "receivers":[{"name":"consumer"}],"startsAt":"2026-11-24T00:07:52.716Z",
            "status":{"inhibitedBy":[],"silencedBy":[],"state":"active"},"updatedAt":"2026-11-24T00:31:12.718Z",
            "labels":{"alertname":"Watchdog","severity":"none"}},
            {"updatedAt":"2026-11-24T00:00:00Z","labels":{"alertname":"TargetDown"}}]"#;
        let alerts = Alertmanager(success(body))
            .alerts("Watchdog")
            .await
            .unwrap();
        assert_eq!(alerts.len(), 1);
        assert_eq!(
            alerts[0].updated_at,
            "2026-11-24T00:31:12.718Z".parse().unwrap()
        );
    }
}
