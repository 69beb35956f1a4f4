//! Resource alarms: the broker blocks whoever publishes.

use super::FELT;
use crate::{ChaosError, site::host::HostSite, wait};

/// An alarm by the limits that raise and clear it.
pub(super) struct Alarm {
    raise: [&'static str; 2],
    /// The setting of `manifests/rabbitmq/rabbitmq.conf`.
    clear: [&'static str; 2],
    name: &'static str,
}

/// A node that may use next to nothing.
pub(super) const MEMORY: Alarm = Alarm {
    raise: ["set_vm_memory_high_watermark", "0.00001"],
    clear: ["set_vm_memory_high_watermark", "0.6"],
    name: "memory",
};

/// A node that wants more free than any disk has.
pub(super) const DISK: Alarm = Alarm {
    raise: ["set_disk_free_limit", "1000000GB"],
    clear: ["set_disk_free_limit", "256MB"],
    name: "disk",
};

/// Raises an alarm, and clears it when the producer has been told.
pub(super) async fn raise(site: &HostSite, alarm: &Alarm) -> Result<String, ChaosError> {
    site.broker.control(&alarm.raise).await?;
    let told = wait::until("the producer to be blocked", FELT, async || {
        site.producer.says("takes no messages").await
    })
    .await;
    // Also when the alarm was not felt: the lab is left as it was.
    site.broker.control(&alarm.clear).await?;
    told?;
    Ok(format!(
        "the producer was blocked by the {} alarm",
        alarm.name
    ))
}
