//! The consumer's work: any message is handled by having been read, and tracer messages are remembered.
//!
//! `GET /tracer/{message_id}` answers 200 with [`Tracer`], or 404 while the message has not arrived or is too old.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use jiff::Timestamp;
use messaging::{
    consumer::{Failure, Handler, Received, Verdict},
    tracer::TracerKind,
};
use serde::Serialize;
use serde_json::json;
use tracing::info;
use uuid::Uuid;

/// How many tracer messages are remembered.
const KEPT: usize = 1024;

/// What became of a tracer message.
#[derive(Clone, Debug, Serialize)]
pub struct Tracer {
    message_id: Uuid,
    producer_id: Uuid,
    sequence: u64,
    trace_id: String,
    parent_span_id: String,
    outcome: &'static str,
    deliveries: u64,
    received_at: Timestamp,
    latency_ms: f64,
}

/// The last tracer messages, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Tracers(Arc<Mutex<VecDeque<Tracer>>>);

impl Tracers {
    /// A later delivery of a message takes the place of an earlier one.
    fn remember(&self, tracer: Tracer) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = kept
            .iter_mut()
            .rev()
            .find(|known| known.message_id == tracer.message_id)
        {
            *known = tracer;
            return;
        }
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(tracer);
    }

    fn find(&self, message_id: Uuid) -> Option<Tracer> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .rev()
            .find(|tracer| tracer.message_id == message_id)
            .cloned()
    }
}

impl Handler for Tracers {
    async fn handle(&self, message: &Received) -> Result<(), Failure> {
        match message.tracer {
            Some(TracerKind::Poison) => {
                Err(Failure::Poison("a tracer message asks for it".to_owned()))
            }
            Some(TracerKind::Normal) | None => Ok(()),
        }
    }

    fn settled(&self, message: &Received, verdict: Verdict) {
        if message.tracer.is_none() {
            return;
        }
        let tracer = tracer(message, verdict, Timestamp::now());
        info!(
            message_id = %tracer.message_id,
            trace_id = tracer.trace_id,
            outcome = tracer.outcome,
            deliveries = tracer.deliveries,
            latency_ms = tracer.latency_ms,
            "tracer message consumed"
        );
        self.remember(tracer);
    }
}

/// The consumer's routes for tracer messages.
pub fn routes(tracers: Tracers) -> Router {
    Router::new()
        .route("/tracer/{message_id}", get(show))
        .with_state(tracers)
}

async fn show(State(tracers): State<Tracers>, Path(message_id): Path<String>) -> Response {
    let Ok(id) = message_id.parse() else {
        let error = json!({ "error": format!("`{message_id}` is not a UUID") });
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    };
    match tracers.find(id) {
        Some(tracer) => Json(tracer).into_response(),
        None => {
            let error = json!({ "error": format!("no tracer message {id} has arrived, or {KEPT} have since") });
            (StatusCode::NOT_FOUND, Json(error)).into_response()
        }
    }
}

fn tracer(message: &Received, verdict: Verdict, now: Timestamp) -> Tracer {
    let (trace_id, parent_span_id) = message
        .parent
        .as_ref()
        .map_or_else(Default::default, |parent| {
            (parent.trace_id().to_string(), parent.span_id().to_string())
        });
    Tracer {
        message_id: message.id,
        producer_id: message.producer,
        sequence: message.sequence,
        trace_id,
        parent_span_id,
        outcome: match verdict {
            Verdict::Acknowledge => "handled",
            Verdict::Reject { .. } => "rejected",
        },
        deliveries: message.deliveries(),
        received_at: message.received_at,
        latency_ms: now.duration_since(message.published_at).as_secs_f64() * 1000.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(id: u128, kind: Option<TracerKind>, delivery_count: u64) -> Received {
        Received {
            id: Uuid::from_u128(id),
            producer: Uuid::from_u128(1),
            sequence: 9,
            published_at: Timestamp::UNIX_EPOCH,
            received_at: Timestamp::UNIX_EPOCH,
            delivery_count,
            tracer: kind,
            parent: None,
            body: Vec::new(),
        }
    }

    #[tokio::test]
    async fn poison_is_refused_and_everything_else_handled() {
        let tracers = Tracers::default();
        let handle = async |kind| tracers.handle(&received(1, kind, 0)).await;
        assert!(handle(None).await.is_ok());
        assert!(handle(Some(TracerKind::Normal)).await.is_ok());
        assert!(matches!(
            handle(Some(TracerKind::Poison)).await,
            Err(Failure::Poison(_))
        ));
    }

    #[test]
    fn only_tracer_messages_are_remembered_and_the_last_delivery_counts() {
        let tracers = Tracers::default();
        tracers.settled(&received(1, None, 0), Verdict::Acknowledge);
        assert!(tracers.find(Uuid::from_u128(1)).is_none());
        for delivery_count in 0..=5 {
            let message = received(2, Some(TracerKind::Poison), delivery_count);
            tracers.settled(
                &message,
                Verdict::Reject {
                    last: delivery_count == 5,
                },
            );
        }
        let tracer = tracers.find(Uuid::from_u128(2)).unwrap();
        assert_eq!((tracer.outcome, tracer.deliveries), ("rejected", 6));
        assert_eq!(tracers.0.lock().unwrap().len(), 1);
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let tracers = Tracers::default();
        for id in 0..=KEPT as u128 {
            tracers.settled(
                &received(id, Some(TracerKind::Normal), 0),
                Verdict::Acknowledge,
            );
        }
        assert!(tracers.find(Uuid::from_u128(0)).is_none());
        assert!(tracers.find(Uuid::from_u128(1)).is_some());
        assert!(tracers.find(Uuid::from_u128(KEPT as u128)).is_some());
    }
}
