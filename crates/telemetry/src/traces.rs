//! Traces: ids for every span, and the way to a collector when one is named.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::NoSubscriber;
use tracing::{Metadata, warn};
use tracing_subscriber::filter::{FilterFn, filter_fn};

use crate::TelemetryError;
use crate::outage::Outage;
use crate::settings::{HttpEndpoint, TelemetrySettings};

/// Path of the trace signal below the collector's base URL (OTLP/HTTP).
const TRACES_PATH: &str = "v1/traces";

/// The provider: it makes ids in any case and exports in batches, from its own thread, when there is an endpoint.
pub fn provider(settings: &TelemetrySettings) -> Result<SdkTracerProvider, TelemetryError> {
    let builder = SdkTracerProvider::builder().with_resource(resource(settings));
    let builder = match &settings.otlp_endpoint {
        Some(endpoint) => builder.with_batch_exporter(exporter(endpoint)?),
        None => builder,
    };
    Ok(builder.build())
}

/// The spans worth making: down to INFO, or to DEBUG while they are exported.
///
/// A span that is not made costs next to nothing, which is what lets a message have one.
pub fn span_filter(exported: bool) -> FilterFn<fn(&Metadata<'_>) -> bool> {
    fn informative(metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= LevelFilter::INFO && metadata.is_span()
    }
    /// Events become events of their span, of which DEBUG ones would outweigh the span.
    fn detailed(metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= LevelFilter::INFO
            || (*metadata.level() <= LevelFilter::DEBUG && metadata.is_span())
    }
    if exported {
        filter_fn(detailed as fn(&Metadata<'_>) -> bool).with_max_level_hint(LevelFilter::DEBUG)
    } else {
        filter_fn(informative as fn(&Metadata<'_>) -> bool).with_max_level_hint(LevelFilter::INFO)
    }
}

/// Exports what is left, for up to `bound`.
pub fn shut_down(provider: &SdkTracerProvider, bound: Duration) {
    // The SDK logs a timeout as an error; a collector that does not answer is a warning here.
    let outcome = tracing::subscriber::with_default(NoSubscriber::default(), || {
        provider.shutdown_with_timeout(bound)
    });
    if let Err(error) = outcome {
        warn!(%error, "the last spans were not delivered");
    }
}

fn exporter(endpoint: &HttpEndpoint) -> Result<ReportingExporter, TelemetryError> {
    let inner = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint.join(TRACES_PATH))
        .build()
        .map_err(|source| TelemetryError::SpanExporter {
            endpoint: endpoint.clone(),
            source,
        })?;
    Ok(ReportingExporter {
        inner,
        endpoint: endpoint.clone(),
        outage: Mutex::default(),
    })
}

fn resource(settings: &TelemetrySettings) -> Resource {
    Resource::builder()
        .with_service_name(settings.service.clone())
        .with_attributes([
            KeyValue::new("service.namespace", settings.namespace.clone()),
            KeyValue::new("service.instance.id", settings.instance.clone()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ])
        .build()
}

/// Logs an outage of the collector once, where the SDK would log an error for each batch.
#[derive(Debug)]
struct ReportingExporter {
    inner: SpanExporter,
    endpoint: HttpEndpoint,
    outage: Mutex<Outage>,
}

impl opentelemetry_sdk::trace::SpanExporter for ReportingExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let outcome = self.inner.export(batch).await;
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        outage.record("spans", &self.endpoint, &outcome);
        // The failure is handled: it is logged, and the exporter has made its retries.
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}
