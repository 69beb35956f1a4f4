//! The body of a message: JSON that names the message, its producer and its place in the producer's sequence.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The `content_type` property of every message.
pub const CONTENT_TYPE: &str = "application/json";

/// A message's body: `{"id","producer","sequence","published_at","payload"}`, unknown fields ignored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Envelope<'a> {
    /// The message's id, a UUIDv7; also the property `message_id`.
    pub id: Uuid,
    /// The id of the producing process, a UUIDv7; also the property `app_id`.
    pub producer: Uuid,
    /// The message's number among its producer's, from 1; the same when it is published again.
    pub sequence: u64,
    /// When the message was made (RFC 3339); the same when it is published again.
    pub published_at: Timestamp,
    /// The load.
    #[serde(borrow)]
    pub payload: Cow<'a, str>,
}

impl<'a> Envelope<'a> {
    /// The JSON text.
    pub fn encode(&self) -> Vec<u8> {
        let template = Template::new(self.producer, &self.payload);
        let mut body = template.head(self.id, self.sequence, self.published_at);
        body.extend_from_slice(template.tail());
        body
    }

    /// Reads the JSON text.
    ///
    /// # Errors
    ///
    /// The body is not JSON, or lacks a field, or a field is malformed.
    pub fn decode(body: &'a [u8]) -> Result<Self, EnvelopeError> {
        serde_json::from_slice(body).map_err(|source| EnvelopeError {
            bytes: body.len(),
            source,
        })
    }
}

/// What all envelopes of a producer have in common. The payload is written as JSON once: to look through it for what must be
/// escaped would be most of what an envelope costs. It is also kept once, however many messages await their confirm.
#[derive(Debug)]
pub struct Template {
    producer: Uuid,
    /// The payload as JSON, and the end of the envelope.
    tail: Vec<u8>,
}

impl Template {
    /// Of envelopes with this load.
    pub fn new(producer: Uuid, payload: &str) -> Self {
        let mut tail = serde_json::to_vec(payload).expect("a text written into memory cannot fail");
        tail.push(b'}');
        Self { producer, tail }
    }

    /// Whose envelopes these are.
    pub fn producer(&self) -> Uuid {
        self.producer
    }

    /// The JSON text of an [`Envelope`] up to its payload; [`tail`](Self::tail) is the rest.
    pub fn head(&self, id: Uuid, sequence: u64, published_at: Timestamp) -> Vec<u8> {
        #[derive(Serialize)]
        struct Fields {
            id: Uuid,
            producer: Uuid,
            sequence: u64,
            published_at: Timestamp,
        }
        // Field names, two UUIDs, a number and a time take less than this.
        let mut head = Vec::with_capacity(256);
        let fields = Fields {
            id,
            producer: self.producer,
            sequence,
            published_at,
        };
        serde_json::to_writer(&mut head, &fields)
            .expect("a map with text keys written into memory cannot fail");
        // The payload comes before the brace.
        head.pop();
        head.extend_from_slice(b",\"payload\":");
        head
    }

    /// The JSON text of an [`Envelope`] from its payload on.
    pub fn tail(&self) -> &[u8] {
        &self.tail
    }
}

/// A body that is no envelope.
#[derive(Debug, thiserror::Error)]
#[error("the body of {bytes} bytes is not an envelope")]
pub struct EnvelopeError {
    bytes: usize,
    source: serde_json::Error,
}

/// A new UUIDv7 of this time: sortable by time, its 74 random bits from a fast generator seeded by the system.
pub fn new_id(now: Timestamp) -> Uuid {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    let mut random = [0; 10];
    fastrand::fill(&mut random);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// A payload of exactly `bytes` bytes of printable ASCII without characters that JSON escapes.
pub fn payload(bytes: usize) -> String {
    ('a'..='z').cycle().take(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(payload: &str) -> Envelope<'_> {
        let now: Timestamp = "2026-01-02T03:04:05.678901234Z".parse().unwrap();
        Envelope {
            id: new_id(now),
            producer: Uuid::from_u128(7),
            sequence: 42,
            published_at: now,
            payload: payload.into(),
        }
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        for text in ["", "abc", "quotes \" and ünïcode \u{0}\n"] {
            let envelope = envelope(text);
            assert_eq!(Envelope::decode(&envelope.encode()).unwrap(), envelope);
        }
    }

    #[test]
    fn the_json_fields_are_the_documented_ones() {
        let json: serde_json::Value = serde_json::from_slice(&envelope("x").encode()).unwrap();
        let fields: Vec<&String> = json.as_object().unwrap().keys().collect();
        assert_eq!(
            fields,
            ["id", "payload", "producer", "published_at", "sequence"]
        );
        assert_eq!(json["published_at"], "2026-01-02T03:04:05.678901234Z");
    }

    #[test]
    fn a_payload_is_borrowed_not_copied() {
        let body = envelope(&payload(1024)).encode();
        assert!(matches!(
            Envelope::decode(&body).unwrap().payload,
            Cow::Borrowed(_)
        ));
    }

    #[test]
    fn a_field_of_a_later_version_is_ignored() {
        let mut json: serde_json::Value = serde_json::from_slice(&envelope("x").encode()).unwrap();
        json["priority"] = 3.into();
        assert!(Envelope::decode(json.to_string().as_bytes()).is_ok());
    }

    #[test]
    fn what_is_no_envelope_is_refused_with_its_size() {
        for body in [
            "",
            "{}",
            "[1]",
            "\u{1f}garbage",
            r#"{"id":"x","producer":"y"}"#,
        ] {
            let error = Envelope::decode(body.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(&format!("{} bytes", body.len())));
        }
    }

    #[test]
    fn ids_are_version_7_and_sort_by_time() {
        let early = new_id("2026-01-01T00:00:00Z".parse().unwrap());
        let late = new_id("2026-01-01T00:00:01Z".parse().unwrap());
        assert_eq!(early.get_version_num(), 7);
        assert!(early < late);
        assert_ne!(new_id(Timestamp::UNIX_EPOCH), new_id(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn a_payload_has_the_asked_size() {
        for bytes in [0, 1, 26, 1024] {
            assert_eq!(payload(bytes).len(), bytes);
        }
    }
}
