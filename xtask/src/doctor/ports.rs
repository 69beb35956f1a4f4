//! Ports of 127.0.0.1. A taken one is no error: what wants it moves to the next that is free, and says so.

use std::collections::BTreeMap;

use blueprint::Component;

use super::finding::{Finding, Scope};

/// The kind engine's registry.
const REGISTRY: (u16, &str) = (5001, "the registry");

/// A port that the lab prefers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    number: u16,
    owner: String,
    engine: Scope,
}

/// The ports of the host engine's components, and those of the cluster.
pub(super) fn wanted(components: &[Component], cluster: &[u16]) -> Vec<Wanted> {
    let owner = |number: u16| {
        Component::ALL.into_iter().find_map(|component| {
            let port = component
                .ports()
                .iter()
                .find(|port| port.number == number)?;
            Some(format!("{component}/{}", port.name))
        })
    };
    let mut all: BTreeMap<u16, Wanted> = components
        .iter()
        .flat_map(|component| component.ports().iter().map(move |port| (component, port)))
        .map(|(component, port)| {
            let wanted = Wanted {
                number: port.number,
                owner: format!("{component}/{}", port.name),
                engine: Scope::Host,
            };
            (port.number, wanted)
        })
        .collect();
    let (registry, name) = REGISTRY;
    let cluster = cluster.iter().map(|number| {
        let owner = owner(*number).unwrap_or_else(|| "the cluster's".to_owned());
        (*number, owner)
    });
    for (number, owner) in cluster.chain([(registry, name.to_owned())]) {
        all.entry(number)
            .and_modify(|wanted| wanted.engine = Scope::Every)
            .or_insert(Wanted {
                number,
                owner,
                engine: Scope::Kind,
            });
    }
    all.into_values().collect()
}

pub(super) fn judge(wanted: &[Wanted], is_free: impl Fn(u16) -> bool) -> Vec<Finding> {
    let taken: Vec<Finding> = wanted
        .iter()
        .filter(|wanted| !is_free(wanted.number))
        .map(|wanted| {
            Finding::less(
                wanted.engine,
                format!("port {}", wanted.number),
                format!("taken; {} will move", wanted.owner),
                format!("`ss -ltnp 'sport = :{}'` tells by whom", wanted.number),
            )
        })
        .collect();
    if taken.is_empty() {
        return vec![Finding::good(
            Scope::Every,
            "ports",
            format!("all {} are free", wanted.len()),
        )];
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::{super::finding::told, *};

    #[test]
    fn a_taken_port_names_who_moves_and_under_which_engine() {
        let wanted = wanted(&[Component::Prometheus, Component::Rabbitmq], &[9090, 8080]);
        let said = told(judge(&wanted, |port| {
            ![5001, 5672, 8080, 9090].contains(&port)
        }));
        assert_eq!(
            said,
            "kind less port 5001: taken; the registry will move\n  `ss -ltnp 'sport = :5001'` tells by whom\n\
             host less port 5672: taken; rabbitmq/amqp will move\n  `ss -ltnp 'sport = :5672'` tells by whom\n\
             kind less port 8080: taken; argocd/http will move\n  `ss -ltnp 'sport = :8080'` tells by whom\n\
             every less port 9090: taken; prometheus/http will move\n  `ss -ltnp 'sport = :9090'` tells by whom"
        );
    }

    #[test]
    fn free_ports_are_one_line() {
        let wanted = wanted(&[], &[9090, 8080]);
        assert_eq!(
            told(judge(&wanted, |_| true)),
            "every ok ports: all 3 are free"
        );
    }
}
