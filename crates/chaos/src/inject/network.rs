//! Faults of the network between a service and the broker.

use super::FELT;
use crate::{ChaosError, site::Service, wait};

/// Closes a service's connections at both ends.
pub(super) fn cut(service: &Service) -> String {
    let open = service.proxy.connections();
    service.proxy.cut();
    format!("{open} connection(s) cut")
}

/// Lets a service's connections carry nothing any more; they stay open until it has recovered without them.
pub(super) async fn half_open(service: &Service) -> Result<String, ChaosError> {
    let before = service.proxy.connections();
    service.proxy.forget();
    let what = format!("{} to connect anew", service.component);
    // Whoever gives up closes its end, which the proxy does not pass on: the old ones are there until they are released.
    wait::until(&what, FELT, async || match service.proxy.connections() {
        open if open > before => Ok(()),
        open => Err(format!("{open} connection(s), all forgotten")),
    })
    .await?;
    Ok(format!(
        "{before} connection(s) forgotten until it made another"
    ))
}
