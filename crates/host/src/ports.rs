//! Which TCP port of 127.0.0.1 each component listens on: the design's, or the next free one, remembered.

use std::collections::{BTreeMap, BTreeSet};

use blueprint::Component;
use lab::{LabError, ports::next_free};

/// The ports of a lab's components on 127.0.0.1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortMap(BTreeMap<String, u16>);

/// A component that does not listen on the port that the design gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MovedPort {
    /// `component/port`.
    pub owner: String,
    /// The design's port.
    pub preferred: u16,
    /// The port it listens on.
    pub actual: u16,
}

/// Ports that only the host engine has: on Kubernetes each broker is alone in its network namespace.
pub(crate) const EPMD: &str = "epmd";
pub(crate) const DISTRIBUTION: &str = "distribution";
/// The gRPC port that Loki, Promtail and Pyroscope open beside HTTP.
pub(crate) const GRPC: &str = "grpc";

/// Every port that a component needs on this engine, with the number it prefers.
fn wanted(component: Component) -> Vec<(&'static str, u16)> {
    let mut wanted: Vec<_> = component
        .ports()
        .iter()
        .map(|port| (port.name, port.number))
        .collect();
    match component {
        Component::Rabbitmq => wanted.extend([(EPMD, 4369), (DISTRIBUTION, 25672)]),
        Component::Loki => wanted.push((GRPC, 9095)),
        Component::Promtail => wanted.push((GRPC, 9096)),
        Component::Pyroscope => wanted.push((GRPC, 9097)),
        _ => {}
    }
    wanted
}

fn key(component: Component, port: &str) -> String {
    format!("{component}/{port}")
}

impl PortMap {
    /// The ports as `lab.json` remembers them.
    pub fn remembered(ports: &BTreeMap<String, u16>) -> Self {
        Self(ports.clone())
    }

    /// Gives every component its ports: the remembered one, else the design's, else the next that `is_free`.
    ///
    /// # Errors
    /// When no port near the preferred one is free.
    pub(crate) fn assign(
        remembered: &BTreeMap<String, u16>,
        components: &[Component],
        is_free: impl Fn(u16) -> bool,
    ) -> Result<Self, LabError> {
        let mut assigned = remembered.clone();
        let mut used: BTreeSet<u16> = BTreeSet::new();
        for &component in components {
            for (name, preferred) in wanted(component) {
                let key = key(component, name);
                let first = remembered.get(&key).copied().unwrap_or(preferred);
                let port = next_free(&key, first, |port| !used.contains(&port) && is_free(port))?;
                used.insert(port);
                assigned.insert(key, port);
            }
        }
        Ok(Self(assigned))
    }

    /// The port of a component; `None` when the component has no such port or is not part of the lab.
    pub fn get(&self, component: Component, port: &str) -> Option<u16> {
        self.0.get(&key(component, port)).copied()
    }

    /// The port that planning has assigned: every planned component has all of its ports.
    pub(crate) fn of(&self, component: Component, port: &str) -> u16 {
        self.get(component, port).unwrap_or_default()
    }

    /// Leads every port of a component to `nowhere`.
    pub(crate) fn cut(&mut self, component: Component, nowhere: u16) {
        for port in component.ports() {
            self.0.insert(key(component, port.name), nowhere);
        }
    }

    /// The components' ports that differ from the design's.
    pub fn moved(&self, components: &[Component]) -> Vec<MovedPort> {
        components
            .iter()
            .flat_map(|&component| {
                component.ports().iter().filter_map(move |port| {
                    let actual = self.get(component, port.name)?;
                    (actual != port.number).then(|| MovedPort {
                        owner: key(component, port.name),
                        preferred: port.number,
                        actual,
                    })
                })
            })
            .collect()
    }

    /// As `lab.json` keeps them.
    pub(crate) fn into_remembered(self) -> BTreeMap<String, u16> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: [Component; 2] = [Component::Producer, Component::Consumer];

    #[test]
    fn two_components_that_prefer_one_port_get_two() {
        let ports = PortMap::assign(&BTreeMap::new(), &PAIR, |_| true).unwrap();
        assert_eq!(ports.of(Component::Producer, "admin"), 9464);
        assert_eq!(ports.of(Component::Consumer, "admin"), 9465);
        assert_eq!(ports.moved(&PAIR).len(), 1);
    }

    #[test]
    fn a_taken_port_moves_and_the_move_is_remembered() {
        let moved = PortMap::assign(&BTreeMap::new(), &PAIR, |port| port != 9464).unwrap();
        assert_eq!(moved.of(Component::Producer, "admin"), 9465);
        let again = PortMap::assign(&moved.clone().into_remembered(), &PAIR, |_| true).unwrap();
        assert_eq!(again, moved);
    }

    #[test]
    fn a_crowded_machine_is_an_error_that_names_the_owner() {
        let error = PortMap::assign(&BTreeMap::new(), &PAIR, |_| false).unwrap_err();
        assert!(error.to_string().contains("producer/admin"), "{error}");
    }
}
