//! Spans on their way to a collector.

use std::collections::HashMap;

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, global};
use prost::Message;
use telemetry::TelemetrySettings;
use tracing::{debug_span, info_span};

#[path = "support/sink.rs"]
mod sink;

use sink::Sink;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_arrive_at_the_collector_with_their_ids_parents_and_service() {
    let collector = Sink::start().await;
    let telemetry = telemetry::init(TelemetrySettings {
        otlp_endpoint: Some(format!("http://{}", collector.address).parse().unwrap()),
        ..TelemetrySettings::for_service("producer")
    })
    .unwrap();

    // What a producer does: a span a message, whose context travels in the message's headers.
    let mut headers = HashMap::new();
    let sent = debug_span!("publish").in_scope(|| {
        global::get_text_map_propagator(|propagator| propagator.inject(&mut headers));
        Context::current().span().span_context().clone()
    });
    // What a consumer does: the context from the headers becomes the parent of its span.
    let remote = global::get_text_map_propagator(|propagator| propagator.extract(&headers));
    let received = {
        let _remote = remote.attach();
        debug_span!("consume").in_scope(|| Context::current().span().span_context().clone())
    };
    info_span!("unrelated").in_scope(|| ());
    drop(telemetry);

    assert_eq!(
        headers["traceparent"],
        format!("00-{}-{}-01", sent.trace_id(), sent.span_id())
    );
    assert_eq!(received.trace_id(), sent.trace_id());
    let (path, body) = collector.next();
    assert_eq!(path, "/v1/traces");
    let export = Export::decode(body).unwrap();
    let resource = &export.resource_spans[0];
    assert!(
        resource.has_attribute("service.name", "producer"),
        "{resource:?}"
    );
    assert!(
        resource.has_attribute("service.instance.id", "producer-0"),
        "{resource:?}"
    );
    let spans: Vec<&Span> = resource
        .scope_spans
        .iter()
        .flat_map(|scope| &scope.spans)
        .collect();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["publish", "consume", "unrelated"]);
    assert_eq!(spans[0].trace_id, sent.trace_id().to_bytes());
    assert_eq!(spans[0].span_id, sent.span_id().to_bytes());
    assert_eq!(spans[1].parent_span_id, sent.span_id().to_bytes());
    assert_ne!(spans[2].trace_id, spans[0].trace_id);
}

/// `ExportTraceServiceRequest`, as far as the test reads it (opentelemetry-proto, trace/v1).
#[derive(Clone, PartialEq, Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(string, tag = "1")]
    text: String,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
}

impl ResourceSpans {
    fn has_attribute(&self, key: &str, text: &str) -> bool {
        let attributes = self
            .resource
            .iter()
            .flat_map(|resource| &resource.attributes);
        attributes
            .filter(|attribute| attribute.key == key)
            .filter_map(|attribute| attribute.value.as_ref())
            .any(|value| value.text == text)
    }
}
