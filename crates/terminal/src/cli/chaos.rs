//! Arguments of `chaos`, and the faults that it knows.

use std::{fmt, path::PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;

/// Arguments of `chaos`.
#[derive(Debug, Args)]
pub struct Chaos {
    /// Whose workload is broken
    #[arg(long, value_enum, default_value_t = ChaosEngine::Host)]
    pub engine: ChaosEngine,
    /// Draws the order of the faults and the load between them; the same seed gives the same schedule [default: random]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// How long to go on; each fault has its turn once, however long that takes
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub minutes: u32,
    /// Only these faults, separated by commas [default: all that the lab can have]
    #[arg(long, value_name = "LIST", value_enum, value_delimiter = ',')]
    pub faults: Vec<Fault>,
    /// Where this machine has the directory that is /var/lab/journals on every node, for --engine cluster [default: the
    /// lab's own, on a cluster that kind made for it]
    #[arg(long, value_name = "DIR")]
    pub journals: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Whose workload a campaign breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChaosEngine {
    /// That of a lab of its own, as plain processes on this machine
    Host,
    /// That of the running lab on Kubernetes, be it kind's or another cluster
    Cluster,
}

impl ChaosEngine {
    /// The faults that it can bring about.
    pub fn faults(self) -> impl Iterator<Item = Fault> {
        let all = Fault::value_variants().iter().copied();
        all.filter(move |fault| fault.is_of(self))
    }

    /// The one that it is not.
    pub const fn other(self) -> Self {
        match self {
            Self::Host => Self::Cluster,
            Self::Cluster => Self::Host,
        }
    }
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
    /// On both engines: a message that the consumer rejects at every delivery
    Poison,
    /// On a cluster: a producer's pod is deleted without a grace period
    KillProducerPod,
    /// On a cluster: a consumer's pod is deleted without a grace period
    KillConsumerPod,
    /// On a cluster: a broker's pod is deleted without a grace period
    KillBrokerPod,
    /// On a cluster: a producer's pod is deleted and has its grace period to end
    DeleteProducerPod,
    /// On a cluster: a consumer's pod is deleted and has its grace period to end
    DeleteConsumerPod,
    /// On a cluster: a broker's pod is deleted and has its grace period to end
    DeleteBrokerPod,
    /// On a cluster of several nodes: a node is cordoned, the lab's pods are evicted from it as far as their disruption
    /// budgets allow, messages go on without it, and it is uncordoned
    DrainNode,
}

impl Fault {
    /// Whether this engine can bring it about.
    pub const fn is_of(self, engine: ChaosEngine) -> bool {
        match self {
            Self::Poison => true,
            Self::KillProducerPod
            | Self::KillConsumerPod
            | Self::KillBrokerPod
            | Self::DeleteProducerPod
            | Self::DeleteConsumerPod
            | Self::DeleteBrokerPod
            | Self::DrainNode => matches!(engine, ChaosEngine::Cluster),
            _ => matches!(engine, ChaosEngine::Host),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        name(*self, f)
    }
}

impl fmt::Display for ChaosEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        name(*self, f)
    }
}

fn name(value: impl ValueEnum, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // No value is skipped, so that each has a name.
    let value = value.to_possible_value();
    f.pad(value.as_ref().map_or("", |value| value.get_name()))
}
