//! The lab's own producer and consumer, configured through their environment.

use std::time::Duration;

use blueprint::{Account, Component};
use lab::passwords;

use super::{Rendered, Site, url};
use crate::{HostError, Readiness, Unit};

/// Messages per second: enough for a profiler to see work, little enough not to be noticed on a laptop.
const RATE: u32 = 100;

pub(super) fn render(site: &Site, component: Component) -> Result<Rendered, HostError> {
    let ports = site.ports_seen_by(component);
    let admin = site.port(component, "admin");
    let account = if component == Component::Producer {
        Account::RabbitmqProducer
    } else {
        Account::RabbitmqConsumer
    };
    let data = site.data(component)?;
    let mut environment = vec![
        ("LAB_BROKER_HOST", "127.0.0.1".to_owned()),
        (
            "LAB_BROKER_PORT",
            ports.of(Component::Rabbitmq, "amqp").to_string(),
        ),
        ("LAB_USERNAME", account.username().to_owned()),
        (
            "LAB_PASSWORD_FILE",
            passwords::path(&site.input.lab, account)
                .display()
                .to_string(),
        ),
        ("LAB_ADMIN_ADDRESS", format!("127.0.0.1:{admin}")),
        ("LAB_JOURNAL", data.join("journal").display().to_string()),
        ("LAB_NAMESPACE", component.namespace().to_owned()),
        ("LAB_SERVICE_INSTANCE", format!("{component}-0")),
    ];
    if component == Component::Producer {
        environment.push(("LAB_RATE", RATE.to_string()));
    }
    if site.has(Component::Pyroscope) {
        let server = url(ports.of(Component::Pyroscope, "http"), "");
        environment.push(("LAB_PYROSCOPE_URL", server));
    }
    Ok(Unit {
        environment: environment
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        after: vec![Component::Rabbitmq.name().to_owned()],
        readiness: Readiness::Http(url(admin, "/readyz")),
        // A drain waits for outstanding confirms and for what is in hand.
        stop_grace: Duration::from_secs(20),
        ..site.unit(component)
    }
    .into())
}
