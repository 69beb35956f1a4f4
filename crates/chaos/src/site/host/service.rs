//! A service under test: its proxy, and what its admin server says.

use blueprint::Component;
use host::Plan;
use lab::ports;

use crate::{ChaosError, admin::Admin, proxy::Proxy};

/// The producer or the consumer.
pub(crate) struct Service {
    pub(crate) component: Component,
    pub(crate) proxy: Proxy,
    pub(crate) admin: Admin,
}

impl Service {
    /// Puts a proxy, at `from` or the next free port, between the service and the broker at `target`.
    pub(super) async fn start(
        component: Component,
        plan: &Plan,
        from: u16,
        target: u16,
    ) -> Result<Self, ChaosError> {
        let owner = format!("{component}/proxy");
        let proxy = Proxy::start(ports::next_free(&owner, from, ports::is_free)?, target).await?;
        let port = plan.ports.get(component, "admin").unwrap_or_default();
        Ok(Self {
            component,
            proxy,
            admin: Admin::at(port)?,
        })
    }

    /// Whether the service is not ready for a reason that contains `part`; what it says instead is the error.
    pub(crate) async fn says(&self, part: &str) -> Result<(), String> {
        let component = self.component;
        match self.admin.obstacle().await? {
            Some(reason) if reason.contains(part) => Ok(()),
            Some(reason) => Err(format!("{component}: {reason}")),
            None => Err(format!("{component} is ready")),
        }
    }
}
