//! The way to a running publisher: its state, and tracer messages on request.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};
use uuid::Uuid;

use crate::{broker::Status, tracer::TracerKind};

/// A running publisher as others see it.
#[derive(Clone, Debug)]
pub struct PublisherHandle {
    pub(super) producers: Vec<Uuid>,
    pub(super) connections: Vec<watch::Receiver<Status>>,
    pub(super) requests: mpsc::Sender<TracerRequest>,
    pub(super) publish_timeout: Duration,
}

impl PublisherHandle {
    /// The producer id of each connection, new at every start.
    pub fn producer_ids(&self) -> &[Uuid] {
        &self.producers
    }

    /// The state of each connection.
    pub fn connections(&self) -> &[watch::Receiver<Status>] {
        &self.connections
    }

    /// Publishes a tracer message over the first connection, in sequence with all others, and waits for its confirm.
    ///
    /// # Errors
    ///
    /// There is no connection (nothing was published); or the broker returned or refused the message, or did not answer
    /// in time: then the publisher goes on to publish it until it is confirmed, as any message.
    pub async fn publish_tracer(&self, kind: TracerKind) -> Result<TracerReceipt, TracerError> {
        let first = self.connections.first();
        if let Some((reason, since)) = first.and_then(|status| status.borrow().obstacle()) {
            return Err(TracerError::NotConnected { reason, since });
        }
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            self.requests
                .send(TracerRequest { kind, reply })
                .await
                .map_err(|_| TracerError::Stopping)?;
            answer.await.map_err(|_| TracerError::Stopping)?
        };
        timeout(self.publish_timeout, exchange)
            .await
            .map_err(|_| TracerError::Overdue {
                after: self.publish_timeout,
            })?
    }
}

/// A confirmed tracer message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TracerReceipt {
    /// The message's id.
    pub message_id: Uuid,
    /// The producer's id.
    pub producer_id: Uuid,
    /// The message's sequence number.
    pub sequence: u64,
    /// The trace that the message belongs to, 32 hexadecimal digits.
    pub trace_id: String,
    /// The publish span, 16 hexadecimal digits.
    pub span_id: String,
    /// From the first publish to the confirm, in milliseconds.
    pub confirm_ms: f64,
}

/// Why a tracer message was not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TracerError {
    /// There is no working connection; nothing was published.
    #[error("not connected for {} ms: {reason}", since.elapsed().as_millis())]
    NotConnected {
        /// The obstacle.
        reason: String,
        /// Since when.
        since: Instant,
    },
    /// The publisher is stopping; nothing was published.
    #[error("the producer is stopping")]
    Stopping,
    /// No queue is bound for it.
    #[error(
        "the broker returned the message: no queue is bound to exchange `lab` for `work.tracer`"
    )]
    Returned,
    /// The broker refuses it.
    #[error(
        "the broker refused the message with a nack: queue `work` is full or has lost its leader"
    )]
    Nacked,
    /// The connection was lost before the confirm.
    #[error("the connection was lost before the confirm")]
    Lost,
    /// No confirm in time.
    #[error("the broker did not confirm the message within {after:?}")]
    Overdue {
        /// The publish timeout.
        after: Duration,
    },
}

/// A tracer message to be published, and where to tell how it went.
#[derive(Debug)]
pub(super) struct TracerRequest {
    pub(super) kind: TracerKind,
    pub(super) reply: oneshot::Sender<Result<TracerReceipt, TracerError>>,
}
