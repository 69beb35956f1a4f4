//! A message on its way out: everything that is needed to publish it, once and again.

use std::{borrow::Cow, sync::Arc};

use jiff::Timestamp;
use lapin::{
    BasicProperties, Channel,
    message::BasicReturnMessage,
    options::BasicPublishOptions,
    types::{AMQPValue, FieldTable},
};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::Uuid;

use crate::{
    broker::BrokerSettings,
    envelope::{CONTENT_TYPE, Envelope, new_id},
    publisher::backlog::{Backlog, queued_bytes},
    topology::{EXCHANGE, ROUTING_KEY, TRACER_ROUTING_KEY},
    trace_context,
    tracer::{HEADER, TracerKind},
};

/// AMQP 0-9-1 `delivery-mode`: kept over a restart of the broker.
const PERSISTENT: u8 = 2;

#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: Uuid,
    pub(super) sequence: u64,
    pub(super) span: Span,
    pub(super) trace: SpanContext,
    producer: Uuid,
    published_at: Timestamp,
    body: Vec<u8>,
    tracer: Option<TracerKind>,
}

impl Message {
    /// Makes a new message and, if it is to be `recorded`, begins its span, which ends when the last owner lets go of the
    /// message.
    pub(super) fn new(
        producer: Uuid,
        sequence: u64,
        payload: &str,
        tracer: Option<TracerKind>,
        recorded: bool,
        broker: &BrokerSettings,
    ) -> Self {
        let published_at = Timestamp::now();
        let id = new_id(published_at);
        let body = Envelope {
            id,
            producer,
            sequence,
            published_at,
            payload: Cow::Borrowed(payload),
        }
        .encode();
        let span = if recorded {
            span(
                id,
                routing_key(tracer),
                body.len(),
                tracer.is_some(),
                broker,
            )
        } else {
            Span::none()
        };
        let trace = span_context(&span);
        Self {
            id,
            sequence,
            span,
            trace,
            producer,
            published_at,
            body,
            tracer,
        }
    }

    /// A message that came back from the broker after it had been taken for confirmed.
    pub(super) fn from_return(
        envelope: &Envelope<'_>,
        body: &[u8],
        properties: &BasicProperties,
    ) -> Self {
        let none = FieldTable::default();
        let headers = properties.headers().as_ref().unwrap_or(&none);
        Self {
            id: envelope.id,
            sequence: envelope.sequence,
            span: Span::none(),
            trace: trace_context::extract(headers).unwrap_or(SpanContext::NONE),
            producer: envelope.producer,
            published_at: envelope.published_at,
            body: body.to_vec(),
            tracer: trace_context::text(headers, HEADER).and_then(|kind| kind.parse().ok()),
        }
    }

    /// What it takes while lapin has it and has not written it.
    pub(super) fn queued_bytes(&self) -> usize {
        queued_bytes(self.body.len())
    }

    /// Made anew for each publish: lapin takes them, and a copy to keep would cost every message what a second publish costs few.
    fn properties(&self) -> BasicProperties {
        let seconds = u64::try_from(self.published_at.as_second()).unwrap_or_default();
        let mut headers = FieldTable::default();
        trace_context::inject(&self.trace, &mut headers);
        if let Some(kind) = self.tracer {
            headers.insert(HEADER.into(), AMQPValue::LongString(kind.name().into()));
        }
        BasicProperties::default()
            .with_message_id(self.id.to_string().into())
            .with_app_id(self.producer.to_string().into())
            .with_content_type(CONTENT_TYPE.into())
            .with_delivery_mode(PERSISTENT)
            .with_timestamp(seconds)
            .with_headers(headers)
    }
}

fn routing_key(tracer: Option<TracerKind>) -> &'static str {
    match tracer {
        Some(_) => TRACER_ROUTING_KEY,
        None => ROUTING_KEY,
    }
}

/// The broker's answer to one publish.
#[derive(Debug)]
pub(super) struct Confirm {
    pub(super) sequence: u64,
    pub(super) acked: bool,
    /// A message that came back: this one or another. Boxed, because there hardly ever is one.
    pub(super) returned: Option<Box<BasicReturnMessage>>,
}

/// Publishes a message and waits for the broker's answer.
///
/// Many of these run at once on one task, never on several: lapin numbers a publish and queues its frames in two steps,
/// so that publishes of two tasks on one channel can swap their confirms. Together they let lapin write many messages in
/// one system call; awaited one after another each would wake its I/O thread.
pub(super) async fn publish(
    channel: &Channel,
    message: Arc<Message>,
    backlog: &Backlog,
) -> Result<Confirm, lapin::Error> {
    let options = BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    let written = channel
        .basic_publish(
            EXCHANGE.into(),
            routing_key(message.tracer).into(),
            options,
            &message.body,
            message.properties(),
        )
        .await;
    backlog.written(message.queued_bytes());
    let confirmation = written?.await?;
    Ok(Confirm {
        sequence: message.sequence,
        acked: confirmation.is_ack(),
        returned: confirmation.take_message().map(Box::new),
    })
}

/// The publish span, named and described as OpenTelemetry's conventions for messaging on RabbitMQ have it.
///
/// A tracer message always has one (INFO). Any other has one only when DEBUG spans are wanted, which telemetry does
/// while it exports spans: an unwanted span costs a comparison.
fn span(
    id: Uuid,
    routing_key: &'static str,
    body_bytes: usize,
    tracer: bool,
    broker: &BrokerSettings,
) -> Span {
    macro_rules! publish_span {
        ($level:expr) => {
            tracing::span!(
                $level,
                "work publish",
                otel.kind = "producer",
                messaging.system = "rabbitmq",
                messaging.operation.name = "publish",
                messaging.operation.r#type = "send",
                messaging.destination.name = EXCHANGE,
                messaging.rabbitmq.destination.routing_key = routing_key,
                messaging.message.id = %id,
                messaging.message.body.size = body_bytes,
                server.address = broker.host,
                server.port = broker.port,
                error.r#type = tracing::field::Empty,
                otel.status_code = tracing::field::Empty,
            )
        };
    }
    if tracer {
        publish_span!(Level::INFO)
    } else {
        publish_span!(Level::DEBUG)
    }
}

/// The span's ids, or random ones where no span is recorded.
fn span_context(span: &Span) -> SpanContext {
    if span.is_disabled() {
        return trace_context::unrecorded();
    }
    let context = span.context();
    let recorded = context.span().span_context().clone();
    if recorded.is_valid() {
        recorded
    } else {
        trace_context::unrecorded()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::broker::PasswordSource;

    fn broker() -> BrokerSettings {
        BrokerSettings {
            host: "localhost".to_owned(),
            port: 1,
            vhost: "lab".to_owned(),
            username: "producer".to_owned(),
            password: PasswordSource::Value {
                password: String::new(),
                origin: "test".to_owned(),
            },
            heartbeat: Duration::from_secs(10),
            connection_name: "test".to_owned(),
        }
    }

    fn message(tracer: Option<TracerKind>) -> Message {
        Message::new(Uuid::from_u128(9), 3, "load", tracer, true, &broker())
    }

    #[test]
    fn properties_say_what_the_body_says() {
        let message = message(None);
        let properties = message.properties();
        let envelope = Envelope::decode(&message.body).unwrap();
        let text = |value: &Option<lapin::types::ShortString>| value.as_ref().unwrap().to_string();
        assert_eq!(text(properties.message_id()), envelope.id.to_string());
        assert_eq!(text(properties.app_id()), envelope.producer.to_string());
        assert_eq!(text(properties.content_type()), "application/json");
        assert_eq!(*properties.delivery_mode(), Some(2));
        assert_eq!(
            properties.timestamp().unwrap(),
            u64::try_from(envelope.published_at.as_second()).unwrap()
        );
        assert_eq!((envelope.sequence, envelope.payload.as_ref()), (3, "load"));
    }

    #[test]
    fn every_message_has_a_trace_and_only_tracers_are_marked() {
        let headers = |tracer| message(tracer).properties().headers().clone().unwrap();
        let ordinary = headers(None);
        assert!(trace_context::extract(&ordinary).is_some());
        assert!(!ordinary.contains_key(HEADER));
        let poison = headers(Some(TracerKind::Poison));
        assert_eq!(trace_context::text(&poison, HEADER), Some("poison"));
    }

    #[test]
    fn a_message_that_is_not_recorded_has_a_trace_and_no_span() {
        let message = Message::new(Uuid::from_u128(9), 3, "load", None, false, &broker());
        assert!(message.span.is_disabled());
        assert!(message.trace.is_valid() && !message.trace.is_sampled());
    }

    #[test]
    fn a_returned_message_is_made_again_as_it_was() {
        for tracer in [None, Some(TracerKind::Normal)] {
            let sent = message(tracer);
            let envelope = Envelope::decode(&sent.body).unwrap();
            let again = Message::from_return(&envelope, &sent.body, &sent.properties());
            assert_eq!(again.properties(), sent.properties());
            assert_eq!(again.body, sent.body);
            assert_eq!((again.sequence, again.tracer), (sent.sequence, sent.tracer));
            assert_eq!(again.trace.trace_id(), sent.trace.trace_id());
        }
    }
}
