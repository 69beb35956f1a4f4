//! The admin interface of the workload: the producer sends a tracer message, the consumer says what became of it and
//! which alerts it was handed.

use jiff::Timestamp;
use messaging::tracer::TracerKind;
use reqwest::StatusCode;
use serde::Deserialize;
use uuid::Uuid;

use super::{ClientError, Endpoint};

/// A tracer message that the broker has confirmed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Sent {
    pub(crate) message_id: Uuid,
    pub(crate) producer_id: Uuid,
    pub(crate) sequence: u64,
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) confirm_ms: f64,
}

/// What the consumer did with a tracer message.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Received {
    pub(crate) message_id: Uuid,
    pub(crate) producer_id: Uuid,
    pub(crate) sequence: u64,
    pub(crate) trace_id: String,
    pub(crate) parent_span_id: String,
    /// `handled` or `rejected`.
    pub(crate) outcome: String,
    pub(crate) deliveries: u64,
    pub(crate) latency_ms: f64,
}

/// An alert as it was last delivered to the consumer.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Delivered {
    pub(crate) alertname: String,
    pub(crate) status: String,
    pub(crate) received_at: Timestamp,
}

/// The producer.
#[derive(Clone, Debug)]
pub(crate) struct Producer(pub(crate) Endpoint);

impl Producer {
    /// Sends a tracer message and returns when it is confirmed.
    pub(crate) async fn send(&self, kind: TracerKind) -> Result<Sent, ClientError> {
        self.0
            .post("/tracer")
            .with(|request| request.json(&serde_json::json!({ "kind": kind })))
            .json()
            .await
    }
}

/// The consumer.
#[derive(Clone, Debug)]
pub(crate) struct Consumer(pub(crate) Endpoint);

impl Consumer {
    /// What became of a tracer message; nothing while it was not consumed.
    pub(crate) async fn received(&self, message: Uuid) -> Result<Option<Received>, ClientError> {
        let answer = self.0.get(&format!("/tracer/{message}")).answer().await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer.success()?.json().map(Some)
    }

    /// The alerts that were delivered to it.
    pub(crate) async fn alerts(&self) -> Result<Vec<Delivered>, ClientError> {
        #[derive(Deserialize)]
        struct Alerts {
            alerts: Vec<Delivered>,
        }
        Ok(self.0.get("/alerts").json::<Alerts>().await?.alerts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::canned::{serve, success};

    #[tokio::test]
    async fn a_message_that_was_not_consumed_is_no_error() {
        let (endpoint, _requests) = serve("404 Not Found", "{\"error\":\"not seen\"}");
        let received = Consumer(endpoint).received(Uuid::nil()).await;
        assert_eq!(received.unwrap(), None);
    }

    #[tokio::test]
    async fn a_producer_that_is_not_connected_says_so() {
        let (endpoint, requests) = serve("503 Service Unavailable", "{\"error\":\"no broker\"}");
        let told = Producer(endpoint)
            .send(TracerKind::Poison)
            .await
            .unwrap_err();
        assert!(told.to_string().contains("no broker"), "{told}");
        assert_eq!(requests.recv().unwrap(), "POST /tracer HTTP/1.1");
    }

    #[tokio::test]
    async fn the_delivered_alerts_are_read() {
        let body = r#"{"alerts":[{"alertname":"Watchdog","fingerprint":"448881ef475b9b26",
            "received_at":"2026-11-24T00:31:12.800850992Z","receiver":"consumer","status":"firing"}]}"#;
        let alerts = Consumer(success(body)).alerts().await.unwrap();
        assert_eq!(alerts[0].alertname, "Watchdog");
        assert_eq!(alerts[0].received_at.as_second(), 1_795_480_272);
    }
}
