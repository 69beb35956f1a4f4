//! What can go wrong between a service and its telemetry.

use std::io;
use std::net::SocketAddr;

use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::error::OTelSdkError;
use thiserror::Error;
use tracing::subscriber::SetGlobalDefaultError;

use crate::settings::HttpEndpoint;

/// A failure to set telemetry up or to serve it.
///
/// Each message is a fragment that reads after "failed to".
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// `init` ran before in this process.
    #[error("initialise telemetry a second time in one process")]
    AlreadyInitialised {
        /// What the tracing crate says.
        #[source]
        source: SetGlobalDefaultError,
    },
    /// The OTLP exporter refuses its configuration, which also comes from the other `OTEL_EXPORTER_OTLP_*` variables.
    #[error("set up the span export to {endpoint}")]
    SpanExporter {
        /// Base URL of the collector.
        endpoint: HttpEndpoint,
        /// What the exporter says.
        #[source]
        source: ExporterBuildError,
    },
    /// The Prometheus exporter refuses its registry.
    #[error("set up the metrics registry")]
    MetricsRegistry {
        /// What the exporter says.
        #[source]
        source: OTelSdkError,
    },
    /// The operating system gives no further thread.
    #[error("start the thread {thread}")]
    Thread {
        /// The thread's name.
        thread: &'static str,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The admin address is taken or does not belong to this machine.
    #[error("listen for admin requests on {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The admin server stopped by itself.
    #[error("serve admin requests on {address}")]
    Serve {
        /// The address served.
        address: SocketAddr,
        /// What the server says.
        #[source]
        source: io::Error,
    },
}

impl TelemetryError {
    /// What to do about it, where there is something to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Bind { address, source } => match source.kind() {
                io::ErrorKind::AddrInUse => Some(format!(
                    "another process listens on port {}: stop it, or give this service another admin address",
                    address.port()
                )),
                io::ErrorKind::AddrNotAvailable => {
                    Some(format!("{} is no address of this machine", address.ip()))
                }
                io::ErrorKind::PermissionDenied => {
                    Some("ports below 1024 need a privilege: choose a higher one".to_owned())
                }
                _ => None,
            },
            Self::SpanExporter { .. } => Some(
                "check the environment variables that begin with OTEL_EXPORTER_OTLP_".to_owned(),
            ),
            Self::AlreadyInitialised { .. }
            | Self::MetricsRegistry { .. }
            | Self::Thread { .. }
            | Self::Serve { .. } => None,
        }
    }
}
