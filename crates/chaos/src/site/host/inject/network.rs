//! Faults of the network between a service and the broker.

use super::FELT;
use crate::{ChaosError, site::host::Service, wait};

/// Counts the connections that came to work.
const CONNECTS: &str = "lab_broker_connects_total";

/// Closes a service's connections at both ends.
pub(super) async fn cut(service: &Service) -> Result<String, ChaosError> {
    let open = service.proxy.connections();
    connects_anew(service, || service.proxy.cut()).await?;
    Ok(format!("{open} connection(s) cut, connected anew"))
}

/// Lets a service's connections carry nothing any more; they stay open until it has recovered without them.
pub(super) async fn half_open(service: &Service) -> Result<String, ChaosError> {
    let open = service.proxy.connections();
    connects_anew(service, || service.proxy.forget()).await?;
    Ok(format!("{open} connection(s) forgotten, connected anew"))
}

/// Makes a fault and waits until the service works over another connection, so that nothing is published over the old one
/// and taken for recovery.
async fn connects_anew(service: &Service, fault: impl Fn()) -> Result<(), ChaosError> {
    let count = format!("what {} counts", service.component);
    let before = wait::until(&count, FELT, async || service.admin.counter(CONNECTS).await).await?;
    fault();
    let what = format!("{} to connect anew", service.component);
    wait::until(&what, FELT, async || {
        match service.admin.counter(CONNECTS).await? {
            now if now > before => Ok(()),
            now => Err(format!("{now} connections so far")),
        }
    })
    .await
}
