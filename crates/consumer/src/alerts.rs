//! The lab's alert receiver: a webhook of Alertmanager that logs each alert and remembers the last of each name.
//!
//! `POST /alerts` takes Alertmanager's webhook payload, version 4 (prometheus.io, "Alerting configuration", webhook_config).
//! `GET /alerts` answers `{"alerts":[{"alertname","status","received_at","receiver","fingerprint"}]}`, by name.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::info;

/// How many names are remembered: more than the lab has rules, and a bound on what a stranger can make us keep.
const KEPT: usize = 1024;

/// The part of the webhook's payload that matters here.
#[derive(Debug, Deserialize)]
struct Notification {
    receiver: String,
    alerts: Vec<Notified>,
}

#[derive(Debug, Deserialize)]
struct Notified {
    status: String,
    #[serde(default)]
    fingerprint: String,
    labels: BTreeMap<String, String>,
}

/// The last that was heard of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Alert {
    alertname: String,
    status: String,
    received_at: Timestamp,
    receiver: String,
    fingerprint: String,
}

#[derive(Clone, Debug, Default)]
struct Alerts(Arc<Mutex<BTreeMap<String, Alert>>>);

impl Alerts {
    fn remember(&self, alert: Alert) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT || kept.contains_key(&alert.alertname) {
            kept.insert(alert.alertname.clone(), alert);
        }
    }

    fn all(&self) -> Vec<Alert> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.values().cloned().collect()
    }
}

/// The receiver's routes.
pub fn routes() -> Router {
    Router::new()
        .route("/alerts", get(show).post(receive))
        .with_state(Alerts::default())
}

async fn show(State(alerts): State<Alerts>) -> Response {
    Json(json!({ "alerts": alerts.all() })).into_response()
}

async fn receive(State(alerts): State<Alerts>, body: Bytes) -> Response {
    match read(&body, Timestamp::now()) {
        Ok(received) => {
            for alert in received {
                info!(
                    alertname = alert.alertname,
                    status = alert.status,
                    receiver = alert.receiver,
                    fingerprint = alert.fingerprint,
                    "alert received"
                );
                alerts.remember(alert);
            }
            StatusCode::OK.into_response()
        }
        Err(error) => {
            let error = format!("expected Alertmanager's webhook payload: {error}");
            (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
        }
    }
}

fn read(body: &[u8], received_at: Timestamp) -> serde_json::Result<Vec<Alert>> {
    let Notification { receiver, alerts } = serde_json::from_slice(body)?;
    Ok(alerts
        .into_iter()
        .map(|mut alert| Alert {
            alertname: alert.labels.remove("alertname").unwrap_or_default(),
            status: alert.status,
            received_at,
            receiver: receiver.clone(),
            fingerprint: alert.fingerprint,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Alertmanager 0.25 sends it.
    const PAYLOAD: &str = r#"{
        "receiver": "lab", "status": "firing", "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0,
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://127.0.0.1:9093",
        "alerts": [
            { "status": "firing", "labels": { "alertname": "Watchdog", "severity": "none" }, "annotations": {},
              "startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "",
              "fingerprint": "a1b2" },
            { "status": "resolved", "labels": { "alertname": "TargetDown" }, "annotations": {},
              "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2026-01-01T00:01:00Z", "generatorURL": "",
              "fingerprint": "c3d4" }
        ] }"#;

    #[test]
    fn alertmanagers_payload_is_understood() {
        let alerts = read(PAYLOAD.as_bytes(), Timestamp::UNIX_EPOCH).unwrap();
        let told: Vec<(&str, &str, &str)> = alerts
            .iter()
            .map(|alert| {
                (
                    alert.alertname.as_str(),
                    alert.status.as_str(),
                    alert.receiver.as_str(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("Watchdog", "firing", "lab"),
                ("TargetDown", "resolved", "lab")
            ]
        );
    }

    #[test]
    fn another_body_is_refused() {
        for body in ["", "[]", r#"{"receiver":"lab"}"#] {
            assert!(
                read(body.as_bytes(), Timestamp::UNIX_EPOCH).is_err(),
                "{body:?}"
            );
        }
    }

    #[test]
    fn the_last_word_on_each_alert_is_kept() {
        let alerts = Alerts::default();
        let firing = read(PAYLOAD.as_bytes(), Timestamp::UNIX_EPOCH)
            .unwrap()
            .remove(0);
        alerts.remember(firing.clone());
        let resolved = Alert {
            status: "resolved".to_owned(),
            ..firing
        };
        alerts.remember(resolved.clone());
        assert_eq!(alerts.all(), [resolved]);
    }
}
