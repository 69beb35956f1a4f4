//! W3C Trace Context in message headers: `traceparent` and `tracestate` (<https://www.w3.org/TR/trace-context/>).
//!
//! Every message carries a `traceparent`, so that logs of both sides share a trace id. Its sampled flag says whether the
//! producer recorded a span; the consumer records one exactly when it did.

use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use crate::broker::Headers;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// A new trace that nobody records: random ids, sampled flag off. Costs no span.
pub fn unrecorded() -> SpanContext {
    SpanContext::new(
        TraceId::from(fastrand::u128(1..)),
        SpanId::from(fastrand::u64(1..)),
        TraceFlags::NOT_SAMPLED,
        false,
        TraceState::NONE,
    )
}

/// The header `traceparent` of a span: version, trace, span, and the sampled flag alone. Made for every message, and so
/// without the system's memory.
#[derive(Clone, Copy, Debug)]
pub struct Traceparent([u8; 55]);

impl Traceparent {
    /// Of this span.
    pub fn of(span: &SpanContext) -> Self {
        let mut text = *b"00-................................-................-00";
        write_hex(&mut text[3..35], &span.trace_id().to_bytes());
        write_hex(&mut text[36..52], &span.span_id().to_bytes());
        let flags = span.trace_flags() & TraceFlags::SAMPLED;
        write_hex(&mut text[53..], &[flags.to_u8()]);
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits and dashes are text")
    }
}

fn write_hex(text: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0xf)];
    }
}

/// The headers of a message that belongs to a span.
#[derive(Clone, Debug)]
pub struct TraceHeaders {
    traceparent: Option<Traceparent>,
    tracestate: String,
}

impl TraceHeaders {
    /// Of this span; none for an invalid one.
    pub fn of(span: &SpanContext) -> Self {
        let valid = span.is_valid();
        Self {
            traceparent: valid.then(|| Traceparent::of(span)),
            tracestate: if valid {
                span.trace_state().header()
            } else {
                String::new()
            },
        }
    }

    /// Their names and texts.
    pub fn pairs(&self) -> [Option<(&'static str, &str)>; 2] {
        let traceparent = self.traceparent.as_ref();
        let tracestate = Some(self.tracestate.as_str()).filter(|state| !state.is_empty());
        [
            traceparent.map(|parent| (TRACEPARENT, parent.as_str())),
            tracestate.map(|state| (TRACESTATE, state)),
        ]
    }
}

/// Reads the producer's span from a message's headers; `None` when there is none or it is malformed, which the
/// specification wants treated alike.
pub fn extract(headers: &Headers) -> Option<SpanContext> {
    let (trace_id, span_id, flags) = parse(headers.text(TRACEPARENT)?)?;
    let state = headers
        .text(TRACESTATE)
        .and_then(|state| TraceState::from_str(state).ok())
        .unwrap_or_default();
    let span = SpanContext::new(trace_id, span_id, flags, true, state);
    span.is_valid().then_some(span)
}

/// Reads `version-traceid-parentid-flags`; a version above 00 may append further fields.
fn parse(traceparent: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    let mut fields = traceparent.split('-');
    let version = hex(fields.next()?, 2)?;
    let (trace_id, span_id, flags) = (fields.next()?, fields.next()?, fields.next()?);
    if version == "ff" || (version == "00" && fields.next().is_some()) {
        return None;
    }
    let flags = u8::from_str_radix(hex(flags, 2)?, 16).ok()?;
    Some((
        TraceId::from_hex(hex(trace_id, 32)?).ok()?,
        SpanId::from_hex(hex(span_id, 16)?).ok()?,
        TraceFlags::new(flags) & TraceFlags::SAMPLED,
    ))
}

fn hex(field: &str, length: usize) -> Option<&str> {
    let digits = field
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (field.len() == length && digits).then_some(field)
}

#[cfg(test)]
mod tests {
    use lapin::types::AMQPValue;

    use super::*;
    use crate::broker::lane::headers::tests::headers as written;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn sent(span: &SpanContext) -> Headers {
        let headers = TraceHeaders::of(span);
        let values: Vec<(&str, AMQPValue)> = headers
            .pairs()
            .into_iter()
            .flatten()
            .map(|(name, text)| (name, AMQPValue::LongString(text.into())))
            .collect();
        written(&values)
    }

    fn parent(traceparent: &str) -> Headers {
        written(&[(TRACEPARENT, AMQPValue::LongString(traceparent.into()))])
    }

    #[test]
    fn what_is_written_is_read_as_a_remote_span() {
        let span = SpanContext::new(
            TraceId::from_hex(TRACE).unwrap(),
            SpanId::from_hex(SPAN).unwrap(),
            TraceFlags::SAMPLED,
            false,
            TraceState::from_str("lab=1").unwrap(),
        );
        let headers = sent(&span);
        assert_eq!(
            headers.text(TRACEPARENT),
            Some(format!("00-{TRACE}-{SPAN}-01").as_str())
        );
        let extracted = extract(&headers).unwrap();
        assert_eq!(extracted.trace_id(), span.trace_id());
        assert_eq!(extracted.span_id(), span.span_id());
        assert!(extracted.is_sampled() && extracted.is_remote());
        assert_eq!(extracted.trace_state().header(), "lab=1");
    }

    #[test]
    fn an_unrecorded_trace_has_ids_and_is_not_sampled() {
        let extracted = extract(&sent(&unrecorded())).unwrap();
        assert!(extracted.is_valid() && !extracted.is_sampled());
        assert_ne!(unrecorded().trace_id(), unrecorded().trace_id());
    }

    #[test]
    fn malformed_parents_are_no_parents() {
        for bad in [
            String::new(),
            "garbage".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}-{SPAN}-1"),
        ] {
            assert_eq!(extract(&parent(&bad)), None, "{bad:?}");
        }
        assert_eq!(extract(&Headers::default()), None);
    }

    #[test]
    fn a_later_version_may_append_fields() {
        assert!(extract(&parent(&format!("cc-{TRACE}-{SPAN}-01-what-comes"))).is_some());
    }
}
