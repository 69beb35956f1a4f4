//! Rotation of credentials, in the order that hurts: the services have the new passwords before the broker does.

use blueprint::Account;
use lab::passwords;

use super::FELT;
use crate::{ChaosError, site::host::HostSite, wait};

/// Gives both services new passwords, cuts their connections, and tells the broker once it has refused both.
pub(super) async fn rotate(site: &HostSite) -> Result<String, ChaosError> {
    for account in [Account::RabbitmqProducer, Account::RabbitmqConsumer] {
        passwords::renew(&site.lab, account)?;
    }
    let services = [&site.producer, &site.consumer];
    for service in services {
        service.proxy.cut();
    }
    for service in services {
        let what = format!("{} to be refused", service.component);
        wait::until(&what, FELT, async || service.says("refuses user").await).await?;
    }
    site.broker.take_passwords().await?;
    Ok("both were refused until the broker knew the new passwords".to_owned())
}
