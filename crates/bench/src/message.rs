//! One of the workload's messages, for a competitor that is to send the same: as large, with the same properties.

use jiff::Timestamp;
use messaging::{
    envelope::{CONTENT_TYPE, Envelope, new_id, payload},
    trace_context::{Traceparent, unrecorded},
};

/// The body's size with a payload of `payload_bytes`, in bytes; a digit of the sequence number more or less.
pub fn body_bytes(payload_bytes: usize) -> usize {
    let now = Timestamp::now();
    Envelope {
        id: new_id(now),
        producer: new_id(now),
        sequence: 100_000,
        published_at: now,
        payload: payload(payload_bytes).into(),
    }
    .encode()
    .len()
}

/// The properties, as PerfTest's `--message-properties` takes them; what is no property of AMQP becomes a header.
pub fn properties() -> String {
    let now = Timestamp::now();
    let (id, producer) = (new_id(now), new_id(now));
    let traceparent = Traceparent::of(&unrecorded());
    let traceparent = traceparent.as_str();
    // PerfTest reads times of whole seconds with an offset, as AMQP has them.
    let time = now.strftime("%Y-%m-%dT%H:%M:%S+00:00");
    format!(
        "messageId={id},appId={producer},contentType={CONTENT_TYPE},timestamp={time},traceparent={traceparent}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_the_payload_and_an_envelope_of_about_175_bytes() {
        for payload_bytes in [0, 12, 1024, 65_536] {
            let envelope_bytes = body_bytes(payload_bytes) - payload_bytes;
            assert!((165..=185).contains(&envelope_bytes), "{envelope_bytes}");
        }
    }

    #[test]
    fn a_property_has_no_separator_in_its_value() {
        for pair in properties().split(',') {
            assert_eq!(pair.matches('=').count(), 1, "{pair}");
        }
    }
}
