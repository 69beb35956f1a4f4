//! Logs, traces, metrics, profiles and the admin server of the lab's services.
//!
//! This is the only crate that installs process-wide telemetry. A service builds [`TelemetrySettings`], calls [`init`]
//! first thing in `main`, keeps the [`TelemetryGuard`] until the end and serves [`TelemetryGuard::admin_routes`] beside
//! its own routes:
//!
//! ```no_run
//! use std::future::pending;
//!
//! use axum::Router;
//! use telemetry::{AdminServer, Readiness, TelemetryError, TelemetrySettings};
//! use tokio::sync::watch;
//!
//! # async fn run() -> Result<(), TelemetryError> {
//! let telemetry = telemetry::init(TelemetrySettings::for_service("producer"))?;
//! let published = telemetry.meter("messaging").u64_counter("lab.messages.published").build();
//! let (readiness, readiness_seen) = watch::channel(Readiness::not_ready("the broker was not asked yet"));
//!
//! let admin = AdminServer::bind("127.0.0.1:9464".parse().expect("a socket address")).await?;
//! tracing::info!(address = %admin.address(), "admin server listens");
//! let routes = telemetry.admin_routes(readiness_seen).merge(Router::new());
//! tokio::spawn(admin.serve(routes, pending()));
//!
//! readiness.send_replace(Readiness::Ready);
//! published.add(1, &[]);
//! telemetry.shutdown();
//! # Ok(())
//! # }
//! ```
//!
//! # Logs
//!
//! One JSON object a line on standard output: `timestamp` (RFC 3339, UTC), `level`, `target`, `message`, the event's
//! fields beside them, and `trace_id` and `span_id` of the span that the event happened in.
//!
//! # Traces
//!
//! Trace context travels as W3C Trace Context through the global propagator. Spans of level INFO always have ids. Spans
//! of level DEBUG, the level for one span a message, exist only while spans are exported (`OTEL_EXPORTER_OTLP_ENDPOINT`),
//! so that the hot path pays for them only when somebody looks. Which messages have one is the publisher's choice.
//!
//! # Metrics
//!
//! The Prometheus name is the OpenTelemetry name with dots as underscores, then the unit, then `_total` for counters:
//!
//! | instrument | OpenTelemetry name | unit | Prometheus name |
//! | --- | --- | --- | --- |
//! | counter | `lab.messages.published` | | `lab_messages_published_total` |
//! | histogram | `lab.confirm.latency` | `s` | `lab_confirm_latency_seconds` |
//! | gauge | `lab.outstanding.confirms` | | `lab_outstanding_confirms` |
//! | gauge | `lab.broker.connected` | | `lab_broker_connected` |
//! | counter | `process.cpu` | `s` | `process_cpu_seconds_total` |
//!
//! A unit of `1` would add `_ratio`; a plain number has no unit.

mod admin;
mod error;
mod guard;
mod logs;
mod metrics;
mod outage;
mod profile;
mod readiness;
mod settings;
mod traces;

pub use admin::{AdminServer, DRAIN_BOUND};
pub use error::TelemetryError;
pub use guard::{FLUSH_BOUND, TelemetryGuard, init};
pub use readiness::Readiness;
pub use settings::{
    HttpEndpoint, LogFilter, OTLP_ENDPOINT_VARIABLE, SettingError, TelemetrySettings,
};
