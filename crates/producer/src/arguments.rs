//! The producer's settings.

use clap::Parser;
use messaging::publisher::PublisherSettings;
use service::{BrokerArguments, Problems, ServiceArguments};

use crate::SERVICE;

/// Publishes messages to the lab's exchange, each until the broker has confirmed it
///
/// Ends with 0 when it was asked to stop and every message is confirmed, 1 when some are not, 64 for bad settings, 74 when
/// the journal cannot be written.
#[derive(Debug, Parser)]
#[command(name = SERVICE, version)]
pub struct Arguments {
    /// New messages a second; 0 for as fast as the window allows
    #[arg(long, env = "LAB_RATE", value_name = "NUMBER", default_value = "100")]
    rate: String,
    /// Traces recorded a second at most, while OTEL_EXPORTER_OTLP_ENDPOINT is set; messages beyond carry a trace id that nobody
    /// records. The consumer follows
    #[arg(
        long,
        env = "LAB_TRACE_RATE",
        value_name = "NUMBER",
        default_value = "100"
    )]
    trace_rate: String,
    /// Size of each payload
    #[arg(
        long,
        env = "LAB_PAYLOAD_BYTES",
        value_name = "BYTES",
        default_value = "1024"
    )]
    payload_bytes: String,
    /// How many messages may await their confirm
    #[arg(
        long,
        env = "LAB_CONFIRM_WINDOW",
        value_name = "NUMBER",
        default_value = "1000"
    )]
    confirm_window: String,
    /// How long the broker may take to confirm before the connection counts as dead
    #[arg(
        long,
        env = "LAB_PUBLISH_TIMEOUT",
        value_name = "TIME",
        default_value = "10s"
    )]
    publish_timeout: String,
    #[command(flatten)]
    broker: BrokerArguments,
    #[command(flatten)]
    pub service: ServiceArguments,
}

impl Arguments {
    /// Reads the publisher's settings, noting each bad one.
    pub fn publisher(&self, problems: &mut Problems) -> PublisherSettings {
        let instance = self.service.instance(SERVICE);
        PublisherSettings {
            broker: self.broker.resolve(SERVICE, &instance, problems),
            connections: self.broker.connections(problems),
            rate: problems.number("rate", &self.rate, 0, 1_000_000),
            trace_rate: problems.number("trace-rate", &self.trace_rate, 0, 1_000_000),
            // RabbitMQ refuses messages beyond 128 MiB; a lab's are far from it.
            payload_bytes: problems.number("payload-bytes", &self.payload_bytes, 0, 16 << 20),
            confirm_window: problems.number("confirm-window", &self.confirm_window, 1, 100_000),
            publish_timeout: problems.duration("publish-timeout", &self.publish_timeout),
            drain_timeout: self.service.drain_timeout(problems),
            journal: self.service.journal.clone(),
        }
    }
}
