//! The faults of processes and connections: one module a family. Each does its harm, waits by a condition until it is felt, and lifts it.

mod alarm;
mod credentials;
mod network;
mod process;
mod queue;

use std::time::Duration;

use blueprint::Component::{Consumer, Producer, Rabbitmq};
use rustix::process::Signal;
use terminal::cli::Fault;

use super::HostSite;
use crate::{ChaosError, poison, schedule::Step};

/// How long a fault may take to be felt: two heartbeats, or the longest pause between two attempts to connect.
const FELT: Duration = Duration::from_secs(60);

/// Makes a fault and lifts it; says what it did, with what was seen of it.
pub(super) async fn inject(site: &HostSite, step: Step) -> Result<String, ChaosError> {
    Ok(match step.fault {
        Fault::KillProducer => process::end(site, Producer, Signal::KILL).await?,
        Fault::KillConsumer => process::end(site, Consumer, Signal::KILL).await?,
        Fault::KillBroker => process::end(site, Rabbitmq, Signal::KILL).await?,
        Fault::TerminateProducer => process::end(site, Producer, Signal::TERM).await?,
        Fault::TerminateConsumer => process::end(site, Consumer, Signal::TERM).await?,
        Fault::TerminateBroker => process::end(site, Rabbitmq, Signal::TERM).await?,
        Fault::FreezeProducer => process::freeze_producer(site).await?,
        Fault::FreezeConsumer => process::freeze_consumer(site, step.hold).await?,
        Fault::FreezeBroker => process::freeze_broker(site).await?,
        Fault::CutProducer => network::cut(&site.producer).await?,
        Fault::CutConsumer => network::cut(&site.consumer).await?,
        Fault::HalfOpenProducer => network::half_open(&site.producer).await?,
        Fault::HalfOpenConsumer => network::half_open(&site.consumer).await?,
        Fault::MemoryAlarm => alarm::raise(site, &alarm::MEMORY).await?,
        Fault::DiskAlarm => alarm::raise(site, &alarm::DISK).await?,
        Fault::DeleteQueue => queue::delete(site).await?,
        Fault::RotateCredentials => credentials::rotate(site).await?,
        Fault::Poison => poison::send(site).await?,
        fault => return Err(ChaosError::NotOfThisEngine { fault }),
    })
}
