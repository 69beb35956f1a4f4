//! The network policies and the arrows are equal: each arrow that crosses a network is allowed at both of its ends, and
//! nothing is allowed that is neither an arrow nor has its reason.

use std::collections::BTreeSet;

use blueprint::{Arrow, Component, Node};
use lab_tests::kustomize::{Object, PodTemplate, has_argocd, items, lab, text};

use crate::flows::{Flow, Pods, flows};

/// Namespaces that upstreams of the lab own: Kubernetes itself, and Argo CD where its installation is at hand.
fn is_foreign(pods: &Pods) -> bool {
    match pods.one() {
        Some(("kube-system", name)) => name == "kube-dns",
        Some(("argocd", _)) => !has_argocd(),
        _ => false,
    }
}

fn policies(objects: &[Object]) -> impl Iterator<Item = &Object> {
    objects
        .iter()
        .filter(|object| object.kind() == "NetworkPolicy")
}

/// The arrows that a policy names.
fn arrows(policy: &Object) -> Vec<Arrow> {
    let Some(ids) = policy.annotation("lab/arrows") else {
        return Vec::new();
    };
    ids.split(',')
        .map(|id| {
            id.trim()
                .parse()
                .unwrap_or_else(|error| panic!("{}: {error}", policy.id()))
        })
        .collect()
}

#[test]
fn every_namespace_denies_what_it_does_not_allow() {
    let Some(objects) = lab("every_namespace_denies_what_it_does_not_allow") else {
        return;
    };
    let denied: BTreeSet<&str> = policies(objects)
        .filter(|policy| {
            let spec = &policy.value["spec"];
            spec["podSelector"] == serde_json::json!({})
                && spec["policyTypes"] == serde_json::json!(["Ingress", "Egress"])
                && spec["ingress"].is_null()
                && spec["egress"].is_null()
        })
        .map(Object::namespace)
        .collect();
    for namespace in objects.iter().filter(|object| object.kind() == "Namespace") {
        assert!(denied.contains(namespace.name()), "{}", namespace.id());
    }
    for component in Component::ALL {
        // The lab does not own kube-system; there its one pod is denied by name.
        let namespace = component.namespace();
        let absent = component == Component::Argocd && !has_argocd();
        assert!(
            denied.contains(namespace) || namespace == "kube-system" || absent,
            "{namespace} is not denied anything"
        );
    }
}

#[test]
fn every_policy_names_its_arrows_or_its_reason() {
    let Some(objects) = lab("every_policy_names_its_arrows_or_its_reason") else {
        return;
    };
    for policy in policies(objects) {
        let is_arrow = !arrows(policy).is_empty();
        let has_reason = policy
            .annotation("lab/reason")
            .is_some_and(|reason| !reason.is_empty());
        assert!(is_arrow != has_reason, "{}", policy.id());
    }
}

#[test]
fn every_arrow_that_crosses_a_network_is_allowed() {
    let Some(objects) = lab("every_arrow_that_crosses_a_network_is_allowed") else {
        return;
    };
    let allowed: BTreeSet<Arrow> = policies(objects).flat_map(arrows).collect();
    let expected: BTreeSet<Arrow> = Arrow::ALL
        .into_iter()
        .filter(|&arrow| crosses_a_network(arrow))
        .collect();
    assert_eq!(allowed, expected);
}

fn crosses_a_network(arrow: Arrow) -> bool {
    match (arrow.from(), arrow.to()) {
        // Within one process: a queue of the broker, a bucket of the store, the kernel under the exporter.
        (_, Node::DeadLetter | Node::LokiChunks | Node::LokiRuler | Node::LokiAdmin) => false,
        (Node::Nodes, Node::Component(Component::NodeExporter)) => false,
        (Node::Component(Component::Argocd), _) => has_argocd(),
        _ => true,
    }
}

#[test]
fn a_policy_allows_its_arrows_and_nothing_else() {
    let Some(objects) = lab("a_policy_allows_its_arrows_and_nothing_else") else {
        return;
    };
    for policy in policies(objects) {
        let arrows = arrows(policy);
        if arrows.is_empty() {
            continue;
        }
        let flows = flows(policy);
        for flow in &flows {
            assert!(
                arrows.iter().any(|&arrow| is_flow_of(arrow, flow)),
                "{} allows {:?} -> {:?}",
                policy.id(),
                flow.from,
                flow.to
            );
        }
        for arrow in arrows {
            assert!(
                flows.iter().any(|flow| is_flow_of(arrow, flow)),
                "{} does not allow {arrow}",
                policy.id()
            );
        }
    }
}

/// An arrow shows where content goes; either of its ends may be the one that connects.
fn is_flow_of(arrow: Arrow, flow: &Flow<'_>) -> bool {
    let component = |pods: &Pods| {
        let (namespace, name) = pods.one()?;
        let component: Component = name.parse().ok()?;
        (component.namespace() == namespace).then_some(component)
    };
    let (from, to) = (component(&flow.from), component(&flow.to));
    match (arrow.from(), arrow.to()) {
        (Node::Services, Node::Component(prober)) => from == Some(prober),
        (Node::Nodes | Node::Pods, Node::Component(reader)) => {
            from == Some(reader) && flow.to == Pods::Anywhere
        }
        (Node::Component(Component::Argocd), _) => {
            flow.from.one() == Some(("argocd", "argocd-application-controller"))
                && flow.to == Pods::Anywhere
        }
        // It listens in the network of its node, where no label finds it.
        (Node::Component(Component::NodeExporter), Node::Component(reader)) => {
            from == Some(reader) && flow.to == Pods::Anywhere && flow.port == Some(9100)
        }
        (Node::Component(one), Node::Component(other)) => {
            [(Some(one), Some(other)), (Some(other), Some(one))].contains(&(from, to))
        }
        _ => false,
    }
}

#[test]
fn what_one_end_allows_the_other_end_allows_too() {
    let Some(objects) = lab("what_one_end_allows_the_other_end_allows_too") else {
        return;
    };
    let flows: Vec<_> = policies(objects).flat_map(flows).collect();
    let mut alone = Vec::new();
    for flow in &flows {
        // What has no one pod at both ends has one end outside the lab's policies.
        let within = flow.from.one().is_some() && flow.to.one().is_some();
        if !within || is_foreign(&flow.from) || is_foreign(&flow.to) {
            continue;
        }
        if !flows.iter().any(|other| flow.passes(other)) {
            alone.push(format!(
                "{}: {:?} -> {:?} port {:?}",
                flow.policy.id(),
                flow.from,
                flow.to,
                flow.port
            ));
        }
    }
    assert!(alone.is_empty(), "{}", alone.join("\n"));
}

#[test]
fn policies_select_pods_that_exist_and_ports_that_these_listen_on() {
    let Some(objects) = lab("policies_select_pods_that_exist_and_ports_that_these_listen_on")
    else {
        return;
    };
    let templates: Vec<_> = objects.iter().filter_map(Object::pod_template).collect();
    let listens = |(namespace, name): (&str, &str), port: Option<u64>| {
        let mut pods = templates
            .iter()
            .filter(|pods| is_named(pods, namespace, name))
            .peekable();
        assert!(pods.peek().is_some(), "no pods {namespace}/{name}");
        let port = port.map(serde_json::Value::from);
        pods.any(|pods| {
            pods.containers()
                .iter()
                .flat_map(|container| items(&container["ports"]))
                .any(|listening| {
                    port.as_ref()
                        .is_none_or(|port| &listening["containerPort"] == port)
                })
        })
    };
    for flow in policies(objects).flat_map(flows) {
        for pods in [&flow.from, &flow.to] {
            // Upstream lets parts of Argo CD in that the lab leaves out.
            let left_out = flow.policy.directory == "argocd" && pods == &flow.from;
            if let Some(one) = pods.one()
                && !is_foreign(pods)
                && !left_out
            {
                let port = flow.port.filter(|_| pods == &flow.to);
                assert!(
                    listens(one, port) || pods == &flow.from,
                    "{}: nothing listens on port {port:?} of {one:?}",
                    flow.policy.id()
                );
            }
        }
    }
}

fn is_named(pods: &PodTemplate<'_>, namespace: &str, name: &str) -> bool {
    pods.owner.namespace() == namespace && pods.label("app.kubernetes.io/name") == Some(name)
}

#[test]
fn flows_are_read_as_kubernetes_reads_them() {
    let policy = Object {
        directory: "test".to_owned(),
        value: serde_json::json!({
            "kind": "NetworkPolicy", "metadata": { "name": "x", "namespace": "a" },
            "spec": {
                "podSelector": { "matchLabels": { "app.kubernetes.io/name": "one" } },
                "ingress": [{ "from": [{ "podSelector": {} }], "ports": [{ "port": 1 }, { "port": 2 }] }],
                "egress": [{}],
            },
        }),
    };
    let said: Vec<_> = flows(&policy)
        .iter()
        .map(|flow| (flow.is_egress, flow.from.clone(), flow.port))
        .collect();
    let all_of_a = Pods::In {
        namespace: Some("a".to_owned()),
        name: None,
    };
    let one = Pods::In {
        namespace: Some("a".to_owned()),
        name: Some("one".to_owned()),
    };
    assert_eq!(
        said,
        [
            (false, all_of_a.clone(), Some(1)),
            (false, all_of_a.clone(), Some(2)),
            (true, one.clone(), None)
        ]
    );
    assert!(all_of_a.include(&one) && !one.include(&all_of_a));
    assert!(Pods::Anywhere.include(&one) && !one.include(&Pods::Anywhere));
    assert_eq!(text(&policy.value["metadata"]["name"]), "x");
}
