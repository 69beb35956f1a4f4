//! Service names in configuration: `<component>.<namespace>.svc:<port>` becomes `127.0.0.1:<port>`.

use blueprint::Component;

use crate::PortMap;

/// Replaces every service address by the local one of the lab's port map. Addresses of components that are not part
/// of the lab stay as they are; what reads them is expected to drop them.
pub(crate) fn localise(text: &str, ports: &PortMap) -> String {
    let mut text = text.to_owned();
    for component in Component::ALL {
        for port in component.ports() {
            if let Some(local) = ports.get(component, port.name) {
                let service = format!("{}:{}", component.service_host(), port.number);
                text = text.replace(&service, &format!("127.0.0.1:{local}"));
            }
        }
    }
    text
}

/// Whether a text still names a service of the cluster.
pub(crate) fn names_a_service(text: &str) -> bool {
    Component::ALL
        .iter()
        .any(|component| text.contains(&component.service_host()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn addresses_of_the_lab_become_local_and_others_stay() {
        let ports = PortMap::assign(&BTreeMap::new(), &[Component::Consumer], |port| {
            port != 9464
        })
        .unwrap();
        let text = "http://consumer.rabbitmq-rust-app.svc:9464/alerts loki.loki.svc:3100";
        let local = localise(text, &ports);
        assert_eq!(local, "http://127.0.0.1:9465/alerts loki.loki.svc:3100");
        assert!(names_a_service(&local));
    }
}
