//! A message on its way out: everything that is needed to publish it, once and again.

use jiff::Timestamp;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::Uuid;

use crate::{
    broker::{BrokerSettings, lane::Publish},
    envelope::{CONTENT_TYPE, Template, new_id},
    topology::{EXCHANGE, ROUTING_KEY, TRACER_ROUTING_KEY},
    trace_context::{self, TraceHeaders},
    tracer::{HEADER, TracerKind},
};

#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: Uuid,
    pub(super) sequence: u64,
    pub(super) span: Span,
    pub(super) trace: SpanContext,
    published_at: Timestamp,
    tracer: Option<TracerKind>,
}

impl Message {
    /// Makes a new message and, if it is to be `recorded`, begins its span, which ends when the last owner lets go of the
    /// message.
    pub(super) fn new(
        sequence: u64,
        template: &Template,
        tracer: Option<TracerKind>,
        recorded: bool,
        broker: &BrokerSettings,
    ) -> Self {
        let published_at = Timestamp::now();
        let id = new_id(published_at);
        let span = if recorded {
            let head = template.head(id, sequence, published_at);
            let body_bytes = head.len() + template.tail().len();
            span(
                id,
                routing_key(tracer),
                body_bytes,
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
            published_at,
            tracer,
        }
    }

    /// Hands the message to `send`, as it is published: the same bytes every time.
    pub(super) fn publish<T>(
        &self,
        template: &Template,
        send: impl FnOnce(&Publish<'_>) -> T,
    ) -> T {
        let trace = TraceHeaders::of(&self.trace);
        let [traceparent, tracestate] = trace.pairs();
        let tracer = self.tracer.map(|kind| (HEADER, kind.name()));
        let (mut message_id, mut app_id) = (Uuid::encode_buffer(), Uuid::encode_buffer());
        let head = template.head(self.id, self.sequence, self.published_at);
        send(&Publish {
            exchange: EXCHANGE,
            routing_key: routing_key(self.tracer),
            content_type: CONTENT_TYPE,
            message_id: self.id.hyphenated().encode_lower(&mut message_id),
            app_id: template.producer().hyphenated().encode_lower(&mut app_id),
            timestamp: u64::try_from(self.published_at.as_second()).unwrap_or_default(),
            headers: &[traceparent, tracestate, tracer],
            body: [&head, template.tail()],
        })
    }
}

fn routing_key(tracer: Option<TracerKind>) -> &'static str {
    match tracer {
        Some(_) => TRACER_ROUTING_KEY,
        None => ROUTING_KEY,
    }
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
    use crate::{broker::PasswordSource, envelope::Envelope};

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

    fn template() -> Template {
        Template::new(Uuid::from_u128(9), "load")
    }

    fn new(tracer: Option<TracerKind>, recorded: bool) -> Message {
        Message::new(3, &template(), tracer, recorded, &broker())
    }

    fn message(tracer: Option<TracerKind>) -> Message {
        new(tracer, true)
    }

    #[test]
    fn properties_say_what_the_body_says() {
        message(None).publish(&template(), |publish| {
            let body = publish.body.concat();
            let envelope = Envelope::decode(&body).unwrap();
            assert_eq!(publish.message_id, envelope.id.to_string());
            assert_eq!(publish.app_id, envelope.producer.to_string());
            assert_eq!(publish.content_type, "application/json");
            let seconds = u64::try_from(envelope.published_at.as_second()).unwrap();
            assert_eq!(publish.timestamp, seconds);
            assert_eq!((envelope.sequence, envelope.payload.as_ref()), (3, "load"));
        });
    }

    #[test]
    fn every_message_has_a_trace_and_only_tracers_are_marked() {
        for kind in [None, Some(TracerKind::Normal), Some(TracerKind::Poison)] {
            let message = message(kind);
            message.publish(&template(), |publish| {
                let header = |wanted| {
                    let mut headers = publish.headers.iter().flatten();
                    headers
                        .find(|(name, _)| *name == wanted)
                        .map(|(_, text)| *text)
                };
                let traceparent = trace_context::Traceparent::of(&message.trace);
                assert_eq!(header("traceparent"), Some(traceparent.as_str()));
                assert_eq!(header(HEADER), kind.map(TracerKind::name));
                assert_eq!(publish.routing_key, routing_key(kind));
            });
        }
    }

    #[test]
    fn a_message_that_is_not_recorded_has_a_trace_and_no_span() {
        let message = new(None, false);
        assert!(message.span.is_disabled());
        assert!(message.trace.is_valid() && !message.trace.is_sampled());
    }
}
