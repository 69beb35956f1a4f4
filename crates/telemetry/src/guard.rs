//! Setting telemetry up, and the guard that ends it.

use std::time::{Duration, Instant};

use axum::Router;
use opentelemetry::metrics::Meter;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::watch;
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use crate::logs::{JsonLayer, LogQueue};
use crate::metrics::Metrics;
use crate::profile::{Pusher, Sampler};
use crate::settings::TelemetrySettings;
use crate::{Readiness, TelemetryError, admin, traces};

/// How long the end waits for the collector and the Pyroscope server, together.
pub const FLUSH_BOUND: Duration = Duration::from_secs(3);

/// How long the end waits for standard output, after everything else has had its say.
const LOG_FLUSH_BOUND: Duration = Duration::from_secs(1);

/// Name of the tracer, as a collector shows it.
const TRACER: &str = "lab";

/// Sets up logs, traces, metrics and profiles for the whole process, once.
///
/// Works inside and outside of a tokio runtime. A collector or a Pyroscope server that does not answer is no error here
/// and a warning in the log.
///
/// # Errors
///
/// Telemetry is set up already, a thread cannot be started, or the exporter refuses the `OTEL_EXPORTER_OTLP_*` variables.
pub fn init(settings: TelemetrySettings) -> Result<TelemetryGuard, TelemetryError> {
    let log_queue =
        LogQueue::spawn(std::io::stdout()).map_err(|source| TelemetryError::Thread {
            thread: LogQueue::THREAD,
            source,
        })?;
    let tracer_provider = traces::provider(&settings)?;
    let subscriber = tracing_subscriber::registry()
        .with(span_layer(
            &tracer_provider,
            settings.otlp_endpoint.is_some(),
        ))
        .with(JsonLayer::new(log_queue.clone()).with_filter(log_filter(&settings)));
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|source| TelemetryError::AlreadyInitialised { source })?;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());

    let metrics = Metrics::new()?;
    let sampler = Sampler::default();
    let pusher = settings
        .pyroscope_url
        .clone()
        .map(|url| Pusher::spawn(sampler.clone(), url, &settings))
        .transpose()?;
    Ok(TelemetryGuard {
        log_queue,
        tracer_provider,
        metrics,
        sampler,
        pusher,
    })
}

/// Telemetry while it lives; dropping it delivers what is left, within [`FLUSH_BOUND`] and a second for the log.
///
/// The drop blocks. Keep the guard in a synchronous `main` around the runtime, or accept that the last thing an
/// asynchronous one does is to wait.
#[must_use = "dropping the guard ends the telemetry"]
pub struct TelemetryGuard {
    log_queue: LogQueue,
    tracer_provider: SdkTracerProvider,
    metrics: Metrics,
    sampler: Sampler,
    pusher: Option<Pusher>,
}

impl TelemetryGuard {
    /// A meter whose instruments appear on `/metrics`; `name` is the crate that owns them.
    pub fn meter(&self, name: &'static str) -> Meter {
        self.metrics.meter(name)
    }

    /// The endpoints that each service has, to be merged with its own (which must not repeat their paths):
    ///
    /// - `GET /healthz`: 200 as long as the process answers; it never looks outside of it.
    /// - `GET /readyz`: 200, or 503 with the reason and for how long; 503 too once the sender of `readiness` is gone.
    /// - `GET /metrics`: Prometheus text format 0.0.4.
    /// - `GET /debug/pprof/profile?seconds=N`: CPU profile of the next `N` (1 to 120, default 10) seconds, gzipped pprof
    ///   protobuf; 400 for another `N`, 503 when the profiler cannot run.
    pub fn admin_routes(&self, readiness: watch::Receiver<Readiness>) -> Router {
        admin::routes(readiness, self.metrics.registry(), self.sampler.clone())
    }

    /// Ends the telemetry, as dropping the guard does.
    pub fn shutdown(self) {}
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        let deadline = Instant::now() + FLUSH_BOUND;
        let stopping = self.pusher.take().map(Pusher::stop);
        traces::shut_down(&self.tracer_provider, FLUSH_BOUND);
        if let Some(stopping) = stopping {
            stopping.wait_until(deadline);
        }
        self.log_queue.flush(LOG_FLUSH_BOUND);
    }
}

fn span_layer<S>(provider: &SdkTracerProvider, exported: bool) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(TRACER))
        // Each of these would be paid for with every span.
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(traces::span_filter(exported))
}

/// The filter was checked when it was parsed.
fn log_filter(settings: &TelemetrySettings) -> EnvFilter {
    settings.log_filter.to_env_filter().unwrap_or_default()
}
