//! One delivery through the handler: its span, its retries, its verdict.

use std::{future::Future, time::Duration};

use opentelemetry::{Context, trace::TraceContextExt as _};
use tracing::{Instrument as _, Level, Span, debug, warn};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::{
    backoff::Backoff,
    broker::BrokerSettings,
    consumer::{
        received::Received,
        verdict::{Failure, Limits, Step, Verdict, decide},
    },
    metrics::ConsumerMetrics,
    topology::{EXCHANGE, QUEUE},
};

const FIRST_RETRY_DELAY: Duration = Duration::from_millis(50);
const LONGEST_RETRY_DELAY: Duration = Duration::from_secs(2);

/// What a consumer does with its messages. Calls overlap, up to the prefetch.
pub trait Handler: Send + Sync + 'static {
    /// Handles one message; called again for it after a [`Failure::Transient`].
    ///
    /// It must not mind to be called twice for a message whose acknowledgement was lost together with the journal.
    fn handle(&self, message: &Received) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Learns what the broker is being told about the message, within its span.
    fn settled(&self, message: &Received, verdict: Verdict) {
        let _ = (message, verdict);
    }
}

/// A delivery that was seen to.
pub(super) struct Done {
    pub(super) tag: u64,
    pub(super) message: Received,
    pub(super) verdict: Verdict,
    pub(super) span: Span,
}

/// Handles a delivery until there is a verdict.
pub(super) async fn work<H: Handler>(
    handler: &H,
    tag: u64,
    message: Received,
    limits: Limits,
    broker: &BrokerSettings,
    metrics: &ConsumerMetrics,
) -> Done {
    let span = span(&message, broker);
    let verdict = attempt(handler, &message, limits, metrics)
        .instrument(span.clone())
        .await;
    Done {
        tag,
        message,
        verdict,
        span,
    }
}

async fn attempt<H: Handler>(
    handler: &H,
    message: &Received,
    limits: Limits,
    metrics: &ConsumerMetrics,
) -> Verdict {
    let mut backoff = Backoff::new(FIRST_RETRY_DELAY, LONGEST_RETRY_DELAY);
    for number in 1_u32.. {
        let outcome = handler.handle(message).await;
        let step = decide(&outcome, number, message.delivery_count, limits);
        if let Err(failure) = &outcome {
            report(failure, message, number, step);
        }
        match step {
            Step::Settle(verdict) => return verdict,
            Step::Retry => {
                metrics.retried.add(1, &[]);
                tokio::time::sleep(backoff.delay(fastrand::f64())).await;
            }
        }
    }
    unreachable!("an attempt beyond the retry limit is never retried")
}

fn report(failure: &Failure, message: &Received, attempt: u32, step: Step) {
    let message_id = message.id;
    let deliveries = message.deliveries();
    match step {
        Step::Retry => {
            debug!(%message_id, attempt, %failure, "a message was not handled, and is tried again")
        }
        Step::Settle(Verdict::Reject { last: true }) => {
            warn!(%message_id, attempt, deliveries, %failure, "a message is given up to the dead-letter queue");
        }
        Step::Settle(_) => {
            debug!(%message_id, attempt, deliveries, %failure, "a message is rejected");
        }
    }
}

/// The process span: a child of the publish span, made exactly when that one is recorded.
fn span(message: &Received, broker: &BrokerSettings) -> Span {
    macro_rules! process_span {
        ($level:expr) => {
            tracing::span!(
                $level,
                "work process",
                otel.kind = "consumer",
                messaging.system = "rabbitmq",
                messaging.operation.name = "process",
                messaging.operation.r#type = "process",
                messaging.destination.name = EXCHANGE,
                messaging.destination.subscription.name = QUEUE,
                messaging.message.id = %message.id,
                messaging.message.body.size = message.body.len(),
                messaging.rabbitmq.message.delivery_count = message.delivery_count,
                server.address = broker.host,
                server.port = broker.port,
            )
        };
    }
    let Some(parent) = message.parent.as_ref().filter(|parent| parent.is_sampled()) else {
        return Span::none();
    };
    let span = if message.tracer.is_some() {
        process_span!(Level::INFO)
    } else {
        process_span!(Level::DEBUG)
    };
    // Without a trace layer there is no span to have a parent.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent.clone()));
    span
}
