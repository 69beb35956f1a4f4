//! Arguments of `chaos`, and the faults that it knows.

use std::fmt;

use clap::{Args, ValueEnum};
use serde::Serialize;

/// Arguments of `chaos`.
#[derive(Debug, Args)]
pub struct Chaos {
    /// Draws the order of the faults and the load between them; the same seed gives the same schedule [default: random]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// How long to go on; each fault has its turn once, however long that takes
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub minutes: u32,
    /// Only these faults, separated by commas [default: all]
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',')]
    pub faults: Vec<Fault>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Something that happens to a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// SIGKILL to the producer
    KillProducer,
    /// SIGKILL to the consumer
    KillConsumer,
    /// SIGKILL to the broker
    KillBroker,
    /// SIGTERM to the producer
    TerminateProducer,
    /// SIGTERM to the consumer
    TerminateConsumer,
    /// SIGTERM to the broker
    TerminateBroker,
    /// SIGSTOP to the producer until the broker has given it up, then SIGCONT
    FreezeProducer,
    /// SIGSTOP to the consumer while messages pile up, then SIGCONT
    FreezeConsumer,
    /// SIGSTOP to the broker until both services have given it up, then SIGCONT
    FreezeBroker,
    /// The producer's connection is closed under it
    CutProducer,
    /// The consumer's connection is closed under it
    CutConsumer,
    /// The producer's connection stays open and carries nothing any more
    HalfOpenProducer,
    /// The consumer's connection stays open and carries nothing any more
    HalfOpenConsumer,
    /// The broker is out of memory, by its own limit, and blocks publishers
    MemoryAlarm,
    /// The broker is out of disk space, by its own limit, and blocks publishers
    DiskAlarm,
    /// The queue is unbound, drained, deleted and declared again
    DeleteQueue,
    /// Both services get new passwords, first the services' files, then the broker
    RotateCredentials,
    /// A message that the consumer rejects at every delivery
    Poison,
}

impl Fault {
    /// Every fault.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No value is skipped, so that each has a name.
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}
