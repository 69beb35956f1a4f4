//! One event as one line of JSON.

use std::error::Error;
use std::fmt;

use opentelemetry::trace::SpanContext;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use tracing::Event;
use tracing::field::{Field, Visit};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

/// A typical line with three fields and the ids of its span.
const USUAL_BYTES: usize = 384;

/// The line of `event`, with its newline.
///
/// A field of the event named `trace_id` or `span_id` takes the place of the span's; a field named as one of the other
/// members of the line is written as `field.<name>`.
pub fn format(event: &Event<'_>, span: &SpanContext) -> Vec<u8> {
    let mut line = Vec::with_capacity(USUAL_BYTES);
    // A map of strings and numbers can always be written to memory.
    let _ = write_event(event, span, &mut line);
    line.push(b'\n');
    line
}

/// The line that takes the place of `dropped` lines.
pub fn format_dropped(dropped: u64) -> Vec<u8> {
    let mut line = serde_json::json!({
        "timestamp": timestamp(),
        "level": "WARN",
        "target": module_path!(),
        "message": "log lines were dropped because standard output did not take them",
        "dropped": dropped,
    })
    .to_string()
    .into_bytes();
    line.push(b'\n');
    line
}

fn write_event(
    event: &Event<'_>,
    span: &SpanContext,
    line: &mut Vec<u8>,
) -> serde_json::Result<()> {
    let metadata = event.metadata();
    let mut serializer = serde_json::Serializer::new(line);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("timestamp", &timestamp())?;
    map.serialize_entry("level", metadata.level().as_str())?;
    map.serialize_entry("target", metadata.target())?;
    if span.is_valid() {
        if metadata.fields().field("trace_id").is_none() {
            map.serialize_entry("trace_id", &span.trace_id().to_string())?;
        }
        if metadata.fields().field("span_id").is_none() {
            map.serialize_entry("span_id", &span.span_id().to_string())?;
        }
    }
    let mut fields = Fields {
        map,
        outcome: Ok(()),
    };
    event.record(&mut fields);
    fields.outcome?;
    fields.map.end()
}

fn timestamp() -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

struct Fields<M: SerializeMap> {
    map: M,
    outcome: Result<(), M::Error>,
}

impl<M: SerializeMap> Fields<M> {
    fn entry(&mut self, field: &Field, value: &(impl Serialize + ?Sized)) {
        if self.outcome.is_err() {
            return;
        }
        self.outcome = match field.name() {
            name @ ("timestamp" | "level" | "target") => {
                self.map.serialize_entry(&format!("field.{name}"), value)
            }
            name => self.map.serialize_entry(name, value),
        };
    }
}

impl<M: SerializeMap> Visit for Fields<M> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.entry(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.entry(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.entry(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.entry(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.entry(field, value);
    }

    /// The whole chain, because no level of an error repeats its source.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut chain = value.to_string();
        let mut source = value.source();
        while let Some(error) = source {
            chain.push_str(": ");
            chain.push_str(&error.to_string());
            source = error.source();
        }
        self.entry(field, &chain);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.entry(field, &format!("{value:?}"));
    }
}
