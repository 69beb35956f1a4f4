//! Network policies as flows: who may open a connection to whom, and on which port.

use lab_tests::kustomize::{Object, items, text};
use serde_json::Value;

/// The label by which every policy of the lab names pods.
const NAME: &str = "app.kubernetes.io/name";

/// Which pods are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pods {
    /// Whatever has an address: the API server, a kubelet, a browser.
    Anywhere,
    /// Pods of a namespace, or of every one.
    In {
        /// The namespace; `None` for every one.
        namespace: Option<String>,
        /// The pods' name; `None` for all of them.
        name: Option<String>,
    },
}

/// One side of a policy: the pods that it selects, the pods that they may speak with, one port of the listening side.
#[derive(Clone, Debug)]
pub struct Flow<'a> {
    /// The policy.
    pub policy: &'a Object,
    /// Whether the policy stands at the side that connects.
    pub is_egress: bool,
    /// Who connects.
    pub from: Pods,
    /// Who listens.
    pub to: Pods,
    /// The port; `None` for every one.
    pub port: Option<u64>,
}

impl Pods {
    /// Whether every pod of `other` is one of these.
    pub fn include(&self, other: &Self) -> bool {
        let (
            Self::In { namespace, name },
            Self::In {
                namespace: other_namespace,
                name: other_name,
            },
        ) = (self, other)
        else {
            return *self == Self::Anywhere;
        };
        (namespace.is_none() || namespace == other_namespace)
            && (name.is_none() || name == other_name)
    }

    /// `namespace/name` where both are given.
    pub fn one(&self) -> Option<(&str, &str)> {
        match self {
            Self::In {
                namespace: Some(namespace),
                name: Some(name),
            } => Some((namespace, name)),
            _ => None,
        }
    }
}

impl Flow<'_> {
    /// Whether the policy at the other side lets this flow pass.
    pub fn passes(&self, other: &Flow<'_>) -> bool {
        self.is_egress != other.is_egress
            && other.from.include(&self.from)
            && other.to.include(&self.to)
            && (other.port.is_none() || other.port == self.port)
    }
}

/// The flows that a policy allows.
pub fn flows(policy: &Object) -> Vec<Flow<'_>> {
    let spec = &policy.value["spec"];
    let mut flows = Vec::new();
    for (rules, peers, is_egress) in [("ingress", "from", false), ("egress", "to", true)] {
        for rule in items(&spec[rules]) {
            for port in ports(rule) {
                for own in pods(&spec["podSelector"], Some(policy.namespace())) {
                    for peer in peers_of(&rule[peers], policy.namespace()) {
                        let (from, to) = if is_egress {
                            (own.clone(), peer)
                        } else {
                            (peer, own.clone())
                        };
                        flows.push(Flow {
                            policy,
                            is_egress,
                            from,
                            to,
                            port,
                        });
                    }
                }
            }
        }
    }
    flows
}

fn ports(rule: &Value) -> Vec<Option<u64>> {
    match items(&rule["ports"]) {
        [] => vec![None],
        ports => ports.iter().map(|port| port["port"].as_u64()).collect(),
    }
}

fn peers_of(peers: &Value, own_namespace: &str) -> Vec<Pods> {
    match items(peers) {
        [] => vec![Pods::Anywhere],
        peers => peers
            .iter()
            .flat_map(|peer| {
                let selector = &peer["namespaceSelector"];
                let namespace = if selector.is_null() {
                    Some(own_namespace)
                } else {
                    selector["matchLabels"]["kubernetes.io/metadata.name"].as_str()
                };
                pods(&peer["podSelector"], namespace)
            })
            .collect(),
    }
}

fn pods(selector: &Value, namespace: Option<&str>) -> Vec<Pods> {
    let named = |name: Option<&str>| Pods::In {
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
    };
    // CoreDNS has the one other label.
    let labels = &selector["matchLabels"];
    if let Some(name) = labels[NAME].as_str().or(labels["k8s-app"].as_str()) {
        return vec![named(Some(name))];
    }
    let values: Vec<_> = items(&selector["matchExpressions"])
        .iter()
        .filter(|expression| expression["key"] == NAME)
        .flat_map(|expression| items(&expression["values"]))
        .map(|value| named(Some(text(value))))
        .collect();
    if values.is_empty() {
        vec![named(None)]
    } else {
        values
    }
}
