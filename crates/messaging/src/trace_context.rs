//! W3C Trace Context in message headers: `traceparent` and `tracestate` (<https://www.w3.org/TR/trace-context/>).
//!
//! Every message carries a `traceparent`, so that logs of both sides share a trace id. Its sampled flag says whether the
//! producer recorded a span; the consumer records one exactly when it did.

use std::str::FromStr;

use lapin::types::{AMQPValue, FieldTable};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

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

/// The header `traceparent` of a span: version, trace, span, and the sampled flag alone.
pub fn traceparent(span: &SpanContext) -> String {
    format!(
        "00-{}-{}-{:02x}",
        span.trace_id(),
        span.span_id(),
        span.trace_flags() & TraceFlags::SAMPLED
    )
}

/// Writes the span that a message belongs to into its headers; an invalid one leaves them as they are.
pub fn inject(span: &SpanContext, headers: &mut FieldTable) {
    if !span.is_valid() {
        return;
    }
    headers.insert(
        TRACEPARENT.into(),
        AMQPValue::LongString(traceparent(span).into()),
    );
    let state = span.trace_state().header();
    if !state.is_empty() {
        headers.insert(TRACESTATE.into(), AMQPValue::LongString(state.into()));
    }
}

/// Reads the producer's span from a message's headers; `None` when there is none or it is malformed, which the
/// specification wants treated alike.
pub fn extract(headers: &FieldTable) -> Option<SpanContext> {
    let (trace_id, span_id, flags) = parse(text(headers, TRACEPARENT)?)?;
    let state = text(headers, TRACESTATE)
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

pub(crate) fn text<'a>(headers: &'a FieldTable, name: &str) -> Option<&'a str> {
    match headers.inner().get(name)? {
        AMQPValue::LongString(value) => std::str::from_utf8(value.as_bytes()).ok(),
        AMQPValue::ShortString(value) => Some(value.as_str()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn headers(traceparent: &str) -> FieldTable {
        let mut headers = FieldTable::default();
        headers.insert(
            TRACEPARENT.into(),
            AMQPValue::LongString(traceparent.into()),
        );
        headers
    }

    #[test]
    fn what_is_injected_is_extracted_as_a_remote_span() {
        let span = SpanContext::new(
            TraceId::from_hex(TRACE).unwrap(),
            SpanId::from_hex(SPAN).unwrap(),
            TraceFlags::SAMPLED,
            false,
            TraceState::from_str("lab=1").unwrap(),
        );
        let mut headers = FieldTable::default();
        inject(&span, &mut headers);
        assert_eq!(
            text(&headers, TRACEPARENT),
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
        let mut headers = FieldTable::default();
        inject(&unrecorded(), &mut headers);
        let extracted = extract(&headers).unwrap();
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
            assert_eq!(extract(&headers(&bad)), None, "{bad:?}");
        }
        assert_eq!(extract(&FieldTable::default()), None);
    }

    #[test]
    fn a_later_version_may_append_fields() {
        assert!(extract(&headers(&format!("cc-{TRACE}-{SPAN}-01-what-comes"))).is_some());
    }
}
