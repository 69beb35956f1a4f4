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
