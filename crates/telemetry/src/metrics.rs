//! Metrics: OpenTelemetry instruments, read by Prometheus.

mod process;

use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

use crate::TelemetryError;

/// The instruments of this process and the registry that they are read through.
pub struct Metrics {
    registry: Registry,
    provider: SdkMeterProvider,
}

impl Metrics {
    /// An empty registry with the metrics that each process has.
    pub fn new() -> Result<Self, TelemetryError> {
        let registry = Registry::new();
        // A scope label on each series and the target's info would say what the scrape's own labels say.
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()
            .map_err(|source| TelemetryError::MetricsRegistry { source })?;
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        process::register(&provider.meter("process"));
        Ok(Self { registry, provider })
    }

    /// A meter for the instruments of one crate.
    pub fn meter(&self, name: &'static str) -> Meter {
        self.provider.meter(name)
    }

    /// What a scrape reads.
    pub fn registry(&self) -> Registry {
        self.registry.clone()
    }
}

/// All metrics in the Prometheus text exposition format, version 0.0.4.
pub fn expose(registry: &Registry) -> Result<String, prometheus::Error> {
    TextEncoder::new().encode_to_string(&registry.gather())
}
