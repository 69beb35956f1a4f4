//! Faults of processes: ended, or stopped where they stand.

use blueprint::Component;
use rustix::process::{Pid, Signal};

use super::FELT;
use crate::{
    ChaosError,
    site::host::{self, HostSite, Service},
    wait,
};

/// Ends a component's processes with a signal; its successor is the supervisor's affair.
pub(super) async fn end(
    site: &HostSite,
    component: Component,
    signal: Signal,
) -> Result<String, ChaosError> {
    if component == Component::Rabbitmq {
        site.broker.queue_names_saved().await?;
    }
    let before = site.group(component).await?;
    host::signal(before, signal)?;
    let after = site.successor(component, before).await?;
    Ok(format!("process {before} followed by {after}"))
}

/// Until the broker has closed the connection of a client that sends no heartbeats.
pub(super) async fn freeze_producer(site: &HostSite) -> Result<String, ChaosError> {
    let frozen = Frozen::new(site.group(Component::Producer).await?)?;
    given_up(&site.producer).await?;
    frozen.thaw()?;
    Ok("frozen until the broker closed its connection".to_owned())
}

/// While so many messages are confirmed of which it takes none.
pub(super) async fn freeze_consumer(site: &HostSite, messages: u64) -> Result<String, ChaosError> {
    let frozen = Frozen::new(site.group(Component::Consumer).await?)?;
    let goal = site.journals.confirmed()? + messages;
    wait::until("messages to pile up", FELT, async || {
        match site.journals.confirmed() {
            Ok(confirmed) if confirmed >= goal => Ok(()),
            Ok(confirmed) => Err(format!("{confirmed} of {goal} are confirmed")),
            Err(error) => Err(error.to_string()),
        }
    })
    .await?;
    frozen.thaw()?;
    Ok(format!("frozen for {messages} messages"))
}

/// Until both services have noticed that nobody answers.
pub(super) async fn freeze_broker(site: &HostSite) -> Result<String, ChaosError> {
    let frozen = Frozen::new(site.group(Component::Rabbitmq).await?)?;
    for service in [&site.producer, &site.consumer] {
        let what = format!("{} to miss the broker", service.component);
        wait::until(&what, FELT, async || {
            match service.admin.obstacle().await? {
                Some(_) => Ok(()),
                None => Err(format!("{} is ready", service.component)),
            }
        })
        .await?;
    }
    frozen.thaw()?;
    Ok("frozen until both services had given it up".to_owned())
}

async fn given_up(service: &Service) -> Result<(), ChaosError> {
    let what = format!("the broker to give {} up", service.component);
    wait::until(&what, FELT, async || match service.proxy.connections() {
        0 => Ok(()),
        open => Err(format!("{open} connections")),
    })
    .await
}

/// A process group that stands still; dropped, it goes on.
struct Frozen(Pid);

impl Frozen {
    fn new(group: Pid) -> Result<Self, ChaosError> {
        host::signal(group, Signal::STOP)?;
        Ok(Self(group))
    }

    fn thaw(self) -> Result<(), ChaosError> {
        host::signal(self.0, Signal::CONT)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // Thawed already, or given up: what goes on twice goes on.
        let _ = host::signal(self.0, Signal::CONT);
    }
}
