//! The log of a whole process, read from its standard output.
//!
//! The test starts its own binary again as the service, because standard output and the subscriber belong to a process.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::env;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use serde_json::Value;
use telemetry::{FLUSH_BOUND, TelemetrySettings};
use tracing::{debug, debug_span, info, info_span};

/// Tells the binary that it is the service, and where its collector is.
const SERVICE: &str = "TELEMETRY_TEST_SERVICE";

/// More than the buffer writes in one go.
const LINES: u64 = 20_000;

#[test]
fn the_log_is_whole_json_with_trace_ids_after_a_graceful_stop() {
    let run = Run::of("service_that_logs", "no-collector");

    let lines: Vec<&Value> = run.lines_with_message("numbered");
    assert_eq!(lines.len() as u64, LINES, "lines were lost");
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line["number"], number as u64);
    }
    let consumed = run.lines_with_message("tracer message consumed")[0];
    assert_eq!(consumed["level"], "INFO");
    assert_eq!(consumed["expected_trace_id"], consumed["trace_id"]);
    assert_eq!(consumed["expected_span_id"], consumed["span_id"]);
    assert_eq!(consumed["trace_id"].as_str().map(str::len), Some(32));
    assert!(
        run.lines_with_message("hidden").is_empty(),
        "DEBUG passed the filter"
    );
}

#[test]
#[ignore = "the service of the test above"]
fn service_that_logs() {
    if env::var_os(SERVICE).is_none() {
        return;
    }
    let telemetry = telemetry::init(TelemetrySettings::for_service("consumer")).unwrap();
    for number in 0..LINES {
        info!(number, "numbered");
    }
    debug!("hidden");
    assert!(
        debug_span!("message").is_disabled(),
        "a span a message costs although nobody sees it"
    );
    info_span!("consume").in_scope(|| {
        let context = Context::current();
        let span = context.span().span_context().clone();
        info!(
            expected_trace_id = %span.trace_id(),
            expected_span_id = %span.span_id(),
            "tracer message consumed"
        );
    });
    telemetry.shutdown();
}

#[test]
fn a_collector_that_never_answers_delays_the_end_by_the_bound_and_costs_one_warning() {
    // Connections are accepted by the kernel; nothing is ever read.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();

    let run = Run::of(
        "service_that_exports",
        &format!("http://{}", mute.local_addr().unwrap()),
    );

    let seconds = run.lines_with_message("ended")[0]["seconds"]
        .as_f64()
        .unwrap();
    let bound = FLUSH_BOUND + Duration::from_secs(2);
    assert!(seconds < bound.as_secs_f64(), "the end took {seconds} s");
    assert_eq!(
        run.complaints(),
        [
            "the last spans were not delivered",
            "the last profile was not delivered in time"
        ]
    );
}

#[test]
fn a_collector_that_is_not_there_costs_one_warning() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();

    let run = Run::of("service_that_exports", &format!("http://{closed}"));

    let mut complaints = run.complaints();
    complaints.sort_unstable();
    assert_eq!(
        complaints,
        [
            "profiles cannot be delivered; the service goes on without",
            "spans cannot be delivered; the service goes on without",
        ]
    );
}

#[test]
#[ignore = "the service of the tests above"]
fn service_that_exports() {
    let Ok(endpoint) = env::var(SERVICE) else {
        return;
    };
    let telemetry = telemetry::init(TelemetrySettings {
        otlp_endpoint: Some(endpoint.parse().unwrap()),
        pyroscope_url: Some(endpoint.parse().unwrap()),
        ..TelemetrySettings::for_service("consumer")
    })
    .unwrap();
    info_span!("work").in_scope(|| info!("working"));
    let begun = Instant::now();
    telemetry.shutdown();
    println!(
        "{}",
        serde_json::json!({ "message": "ended", "seconds": begun.elapsed().as_secs_f64() })
    );
}

/// What a service wrote.
struct Run {
    lines: Vec<Value>,
}

impl Run {
    fn of(service: &str, collector: &str) -> Self {
        let output = Command::new(env::current_exe().unwrap())
            .args(["--exact", service, "--ignored", "--nocapture"])
            .env(SERVICE, collector)
            .output()
            .unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{service} failed:\n{stderr}\n{stdout}"
        );
        // The test harness writes lines of its own.
        let lines = stdout.lines().filter(|line| line.starts_with('{'));
        Self {
            lines: lines
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        }
    }

    fn lines_with_message(&self, message: &str) -> Vec<&Value> {
        self.lines
            .iter()
            .filter(|line| line["message"] == message)
            .collect()
    }

    /// The messages of all lines above INFO.
    fn complaints(&self) -> Vec<&str> {
        let loud = self.lines.iter().filter(|line| {
            ["WARN", "ERROR"]
                .iter()
                .any(|level| line["level"] == *level)
        });
        loud.map(|line| line["message"].as_str().unwrap()).collect()
    }
}
