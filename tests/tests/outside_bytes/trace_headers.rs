//! `traceparent` and `tracestate` of any message, by W3C Trace Context level 1.

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, WriteContext, gen_frame};
use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use messaging::{
    broker::Headers,
    trace_context::{TraceHeaders, extract, unrecorded},
};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use proptest::prelude::*;
use regex::Regex;

use crate::any_value::any_value;

/// Headers as another writer of the protocol has them.
fn on_the_wire(table: FieldTable) -> Headers {
    let header = AMQPContentHeader {
        class_id: 60,
        body_size: 0,
        properties: BasicProperties::default().with_headers(table),
    };
    let frame = AMQPFrame::Header(1, header);
    let written = gen_frame(&frame)(WriteContext::from(Vec::new())).unwrap();
    let (bytes, _) = written.into_inner();
    // Before the properties lie the frame's prefix, class, weight and size.
    Headers::of_properties(&bytes[7 + 12..]).unwrap()
}

fn headers(traceparent: AMQPValue, tracestate: AMQPValue) -> Headers {
    let mut headers = FieldTable::default();
    headers.insert("traceparent".into(), traceparent);
    headers.insert("tracestate".into(), tracestate);
    on_the_wire(headers)
}

/// The headers of a message that belongs to a span.
fn written(span: &SpanContext) -> FieldTable {
    let mut headers = FieldTable::default();
    for (name, text) in TraceHeaders::of(span).pairs().into_iter().flatten() {
        headers.insert(name.into(), long(text));
    }
    headers
}

fn long(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// The specification's grammar, written apart from the reader.
fn is_valid(traceparent: &str) -> bool {
    let grammar = "^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-(?s:.*))?$";
    let grammar = Regex::new(grammar).unwrap();
    let Some(fields) = grammar.captures(traceparent) else {
        return false;
    };
    let is_zero = |field: usize| fields[field].bytes().all(|digit| digit == b'0');
    let is_longer = fields.get(4).is_some();
    let is_forbidden = &fields[1] == "ff" || (&fields[1] == "00" && is_longer);
    !(is_forbidden || is_zero(2) || is_zero(3))
}

/// Parents that are nearly right: every rule of the grammar is broken now and then.
fn parents() -> impl Strategy<Value = String> {
    let version = prop_oneof![
        4 => Just("00".to_owned()),
        1 => Just("ff".to_owned()),
        1 => "[0-9a-fA-F]{2}",
    ];
    let trace = prop_oneof![
        4 => "[0-9a-f]{32}",
        1 => "0{31,32}",
        1 => "[0-9a-fA-F]{31,33}",
    ];
    let span = prop_oneof![
        4 => "[0-9a-f]{16}",
        1 => "0{15,16}",
        1 => "[0-9a-fA-F+]{15,17}",
    ];
    let flags = prop_oneof![4 => "[0-9a-f]{2}", 1 => "[+0-9A-F]{1,3}"];
    let rest = prop_oneof![4 => Just(String::new()), 1 => "-\\PC{0,5}", 1 => "\\PC{0,3}"];
    (version, trace, span, flags, rest).prop_map(|(version, trace, span, flags, rest)| {
        format!("{version}-{trace}-{span}-{flags}{rest}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn a_parent_is_read_exactly_when_the_specification_calls_it_valid(parent in parents()) {
        let read = extract(&headers(long(&parent), AMQPValue::Void));
        prop_assert_eq!(read.is_some(), is_valid(&parent), "{}", parent);
        if let Some(span) = read {
            prop_assert_eq!(span.trace_id().to_string(), &parent[3..35]);
            prop_assert_eq!(span.span_id().to_string(), &parent[36..52]);
            let flags = u8::from_str_radix(&parent[53..55], 16).unwrap();
            prop_assert_eq!(span.is_sampled(), flags & 1 == 1);
        }
    }

    #[test]
    fn what_is_written_is_read(trace in 1_u128.., span in 1_u64.., sampled: bool, state in "([a-z]{1,4}=[0-9]{1,4})?") {
        let sent = SpanContext::new(
            TraceId::from(trace),
            SpanId::from(span),
            TraceFlags::NOT_SAMPLED.with_sampled(sampled),
            true,
            state.parse::<TraceState>().unwrap_or_default(),
        );
        prop_assert_eq!(extract(&on_the_wire(written(&sent))), Some(sent));
    }

    #[test]
    fn headers_of_any_type_are_a_valid_span_or_none(parent in any_value(), state in any_value()) {
        let read = extract(&headers(parent, state));
        prop_assert!(read.is_none_or(|span| span.is_valid()));
    }

    #[test]
    fn no_state_spoils_a_good_parent(state in any_value()) {
        let sent = unrecorded();
        let mut good = written(&sent);
        good.insert("tracestate".into(), state);
        prop_assert_eq!(extract(&on_the_wire(good)).map(|span| span.trace_id()), Some(sent.trace_id()));
    }
}
