//! The consumer's settings.

use clap::Parser;
use messaging::consumer::ConsumerSettings;
use service::{BrokerArguments, Problems, ServiceArguments};

use crate::SERVICE;

/// Consumes the lab's queue, acknowledging each message once it was handled, and receives alerts
///
/// Ends with 0 when it was asked to stop and finished what was in hand, 1 when it could not, 64 for bad settings, 74 when
/// the journal cannot be written.
#[derive(Debug, Parser)]
#[command(name = SERVICE, version)]
pub struct Arguments {
    /// How many deliveries may be unacknowledged; RabbitMQ advises 100 to 300, its quorum queues take up to 2000
    #[arg(
        long,
        env = "LAB_PREFETCH",
        value_name = "NUMBER",
        default_value = "300"
    )]
    prefetch: String,
    /// How many handled messages are acknowledged together at the most; a full prefetch is acknowledged at once
    #[arg(
        long,
        env = "LAB_ACK_BATCH",
        value_name = "NUMBER",
        default_value = "100"
    )]
    ack_batch: String,
    /// How long a handled message may wait for its acknowledgement
    #[arg(
        long,
        env = "LAB_ACK_DELAY",
        value_name = "TIME",
        default_value = "20ms"
    )]
    ack_delay: String,
    /// How often a transient failure is tried again before the delivery is rejected
    #[arg(
        long,
        env = "LAB_RETRY_LIMIT",
        value_name = "NUMBER",
        default_value = "3"
    )]
    retry_limit: String,
    /// How often the queue takes a message back: the `delivery-limit` of its policy
    #[arg(long, env = "LAB_DELIVERY_LIMIT", value_name = "NUMBER", default_value_t = messaging::topology::DELIVERY_LIMIT.to_string())]
    delivery_limit: String,
    #[command(flatten)]
    broker: BrokerArguments,
    #[command(flatten)]
    pub service: ServiceArguments,
}

impl Arguments {
    /// Reads the consumer's settings, noting each bad one.
    pub fn consumer(&self, problems: &mut Problems) -> ConsumerSettings {
        let instance = self.service.instance(SERVICE);
        ConsumerSettings {
            broker: self.broker.resolve(SERVICE, &instance, problems),
            connections: self.broker.connections(problems),
            prefetch: problems.number("prefetch", &self.prefetch, 1, 2000),
            ack_batch: problems.number("ack-batch", &self.ack_batch, 1, 2000),
            ack_delay: problems.duration("ack-delay", &self.ack_delay),
            retry_limit: problems.number("retry-limit", &self.retry_limit, 0, 1000),
            delivery_limit: problems.number(
                "delivery-limit",
                &self.delivery_limit,
                0,
                1_000_000_000,
            ),
            drain_timeout: self.service.drain_timeout(problems),
            journal: self.service.journal.clone(),
        }
    }
}
