//! A message as it arrived.

use jiff::Timestamp;
use opentelemetry::trace::SpanContext;
use uuid::Uuid;

use crate::{
    broker::lane::Content,
    duplicates::Key,
    envelope::{Envelope, EnvelopeError},
    trace_context,
    tracer::{HEADER, TracerKind},
};

/// The header by which a quorum queue tells how often it took the message back; absent at the first delivery.
const DELIVERY_COUNT: &str = "x-delivery-count";

/// A message that was delivered and decoded.
#[derive(Clone, Debug)]
pub struct Received {
    /// The message's id.
    pub id: Uuid,
    /// The id of its producer.
    pub producer: Uuid,
    /// Its number in the producer's sequence.
    pub sequence: u64,
    /// When it was made, by the producer's clock.
    pub published_at: Timestamp,
    /// When it arrived, by this clock.
    pub received_at: Timestamp,
    /// How often the queue took it back before this delivery.
    pub delivery_count: u64,
    /// What a tracer message asks for; `None` for any other message.
    pub tracer: Option<TracerKind>,
    /// The producer's span; `None` when its header is missing or malformed.
    pub parent: Option<SpanContext>,
    /// The encoded [`Envelope`].
    pub body: Vec<u8>,
}

impl Received {
    pub(super) fn new(content: Content, received_at: Timestamp) -> Result<Self, EnvelopeError> {
        let envelope = Envelope::decode(&content.body)?;
        let headers = &content.headers;
        Ok(Self {
            id: envelope.id,
            producer: envelope.producer,
            sequence: envelope.sequence,
            published_at: envelope.published_at,
            received_at,
            delivery_count: headers.number(DELIVERY_COUNT).unwrap_or(0),
            tracer: headers.text(HEADER).and_then(|kind| kind.parse().ok()),
            parent: trace_context::extract(headers),
            body: content.body,
        })
    }

    /// How often it was delivered, this time included.
    pub fn deliveries(&self) -> u64 {
        self.delivery_count + 1
    }

    pub(super) fn key(&self) -> Key {
        (self.producer, self.sequence)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use lapin::types::AMQPValue;

    use super::*;
    use crate::broker::lane::headers::tests::headers as written;

    fn content(body: Vec<u8>, headers: &[(&str, AMQPValue)]) -> Content {
        Content {
            headers: written(headers),
            body,
        }
    }

    fn body() -> Vec<u8> {
        Envelope {
            id: Uuid::from_u128(1),
            producer: Uuid::from_u128(2),
            sequence: 3,
            published_at: Timestamp::UNIX_EPOCH,
            payload: Cow::Borrowed("load"),
        }
        .encode()
    }

    fn received(headers: &[(&str, AMQPValue)]) -> Received {
        Received::new(content(body(), headers), Timestamp::now()).unwrap()
    }

    #[test]
    fn deliveries_are_counted_from_the_brokers_header_of_any_width() {
        assert_eq!(received(&[]).deliveries(), 1);
        for value in [
            AMQPValue::ShortShortUInt(4),
            AMQPValue::LongInt(4),
            AMQPValue::LongLongInt(4),
        ] {
            assert_eq!(received(&[(DELIVERY_COUNT, value)]).deliveries(), 5);
        }
        for odd in [AMQPValue::LongInt(-1), AMQPValue::Boolean(true)] {
            assert_eq!(received(&[(DELIVERY_COUNT, odd)]).deliveries(), 1);
        }
    }

    #[test]
    fn only_a_known_kind_makes_a_tracer() {
        let tracer = |kind: &str| received(&[(HEADER, AMQPValue::LongString(kind.into()))]).tracer;
        assert_eq!(tracer("poison"), Some(TracerKind::Poison));
        assert_eq!(tracer("normal"), Some(TracerKind::Normal));
        assert_eq!(tracer("other"), None);
        assert_eq!(received(&[]).tracer, None);
    }

    #[test]
    fn what_is_no_envelope_is_an_error() {
        assert!(Received::new(content(b"nonsense".to_vec(), &[]), Timestamp::now()).is_err());
    }
}
