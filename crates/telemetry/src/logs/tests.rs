//! Lines as a reader of the log sees them, and the queue under a reader that does not read.

use std::error::Error;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::Value;
use tracing::{error, info, info_span};
use tracing_subscriber::layer::SubscriberExt;

use super::*;

const BOUND: Duration = Duration::from_secs(10);

#[test]
fn a_line_holds_the_events_fields_beside_its_own() {
    let lines = log(|| {
        info!(
            message_id = "m-1",
            deliveries = 2,
            ratio = 0.5,
            first = true,
            "consumed {}",
            7
        )
    });

    let line = &lines[0];
    assert_eq!(line["message"], "consumed 7");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["target"], module_path!());
    assert_eq!(line["message_id"], "m-1");
    assert_eq!(line["deliveries"], 2);
    assert_eq!(line["ratio"], 0.5);
    assert_eq!(line["first"], true);
    let timestamp = line["timestamp"].as_str().unwrap();
    assert!(
        timestamp.ends_with('Z') && timestamp.len() == "2026-01-02T03:04:05.678901Z".len(),
        "{timestamp}"
    );
    assert!(
        line.get("trace_id").is_none() && line.get("span_id").is_none(),
        "{line}"
    );
}

#[test]
fn a_line_inside_a_span_carries_the_spans_ids() {
    let mut ids = (String::new(), String::new());
    let lines = log(|| {
        info_span!("outer").in_scope(|| {
            let _entered = info_span!("inner").entered();
            let context = TraceContext::current();
            let span = context.span().span_context().clone();
            ids = (span.trace_id().to_string(), span.span_id().to_string());
            info!("inside");
        });
        info!("outside");
    });

    assert_eq!(lines[0]["trace_id"], ids.0);
    assert_eq!(lines[0]["span_id"], ids.1);
    assert_ne!(ids.0, "0".repeat(32));
    assert!(lines[1].get("trace_id").is_none(), "{}", lines[1]);
}

#[test]
fn a_field_does_not_double_a_member_of_the_line() {
    let lines = log(|| {
        let _entered = info_span!("span").entered();
        info!(
            trace_id = "of the message",
            level = "loud",
            target = "moon",
            "event"
        );
    });

    let text = lines[0].to_string();
    assert_eq!(lines[0]["trace_id"], "of the message");
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(lines[0]["field.level"], "loud");
    assert_eq!(lines[0]["field.target"], "moon");
    assert_eq!(text.matches("\"trace_id\"").count(), 1, "{text}");
}

#[test]
fn an_error_is_written_with_its_sources_and_newlines_stay_inside_the_line() {
    #[derive(Debug, thiserror::Error)]
    #[error("open the journal")]
    struct Outer(#[source] io::Error);

    let outer = Outer(io::Error::other("disk\nfull"));
    let lines = log(|| error!(error = &outer as &(dyn Error + 'static), "stopped"));

    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["error"], "open the journal: disk\nfull");
}

#[test]
fn logging_does_not_wait_for_a_reader_that_stands_still() {
    let (gate, opened) = mpsc::channel();
    let written = Arc::new(Mutex::new(Vec::new()));
    let queue = LogQueue::spawn(GatedWriter {
        opened,
        written: Arc::clone(&written),
    })
    .unwrap();
    let line = [b"x".repeat(1023), b"\n".to_vec()].concat();
    let lines = 3 * 4 * 1024;

    for _ in 0..lines {
        queue.push(&line);
    }
    let begun = Instant::now();
    queue.flush(Duration::from_millis(10));
    assert!(begun.elapsed() < BOUND, "flush outlived its bound");

    open(&gate);
    queue.flush(BOUND);
    let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    let (kept, notices): (Vec<_>, Vec<_>) = written.lines().partition(|line| line.starts_with('x'));
    let dropped: u64 = notices
        .iter()
        .map(|notice| {
            serde_json::from_str::<Value>(notice).unwrap()["dropped"]
                .as_u64()
                .unwrap()
        })
        .sum();
    assert!(dropped > 0, "a third of the lines fits");
    assert_eq!(kept.len() as u64 + dropped, lines);
}

/// Writes nothing before its gate is opened.
struct GatedWriter {
    opened: Receiver<()>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for GatedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.opened.recv();
        self.written.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(gate: &Sender<()>) {
    for _ in 0..16 {
        gate.send(()).unwrap();
    }
}

/// The lines written while `work` runs under the layers of a service.
fn log(work: impl FnOnce()) -> Vec<Value> {
    let (sender, receiver) = mpsc::channel();
    let queue = LogQueue::spawn(ChannelWriter(sender)).unwrap();
    let tracer = SdkTracerProvider::builder().build().tracer("test");
    let subscriber = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(tracer))
        .with(JsonLayer::new(queue.clone()));
    tracing::subscriber::with_default(subscriber, work);
    queue.flush(BOUND);

    let written: Vec<u8> = receiver.try_iter().flatten().collect();
    String::from_utf8(written)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

struct ChannelWriter(Sender<Vec<u8>>);

impl Write for ChannelWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The test may be over.
        let _ = self.0.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
