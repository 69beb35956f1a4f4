//! Nodes: which may be drained, the drain itself, and the certain way back.
//!
//! A node that the campaign cordons carries the lab's mark, and whatever has the mark is uncordoned: when the fault is over,
//! when the campaign ends for whatever reason, and, after one that was killed, when the next begins.

use std::{collections::BTreeSet, time::Duration};

use blueprint::Component;
use chaos::{ChaosError, Journals, schedule::Step, wait};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, ResourceExt as _,
    api::{EvictParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    eviction::{Answer, answer, is_evicted},
    of_engine, told,
};
use crate::{ClusterError, Kube, Site};

/// The mark: the lab whose campaign has cordoned the node.
const MARK: &str = "lab/drained-by";

/// The pods that the lab brought.
const OF_LAB: &str = "app.kubernetes.io/part-of=lab";

/// How long a node may take to be empty: the broker's grace period, and what a budget holds back until it has a successor.
const EMPTY: Duration = Duration::from_secs(300);

/// How long the messages may take that go on without the node.
const GO_ON: Duration = Duration::from_secs(120);

/// The nodes that take pods, by name.
pub(super) async fn workers(kube: &Kube) -> Result<Vec<String>, ClusterError> {
    let nodes: Api<Node> = Api::all(kube.client.clone());
    let nodes = nodes
        .list(&ListParams::default())
        .await
        .map_err(ClusterError::kubernetes("list the nodes"))?;
    let mut names: Vec<String> = nodes
        .iter()
        .filter(|node| takes_pods(node))
        .map(|node| node.name_any())
        .collect();
    names.sort_unstable();
    Ok(names)
}

fn takes_pods(node: &Node) -> bool {
    let spec = node.spec.clone().unwrap_or_default();
    let is_closed = spec.unschedulable == Some(true)
        || spec
            .taints
            .iter()
            .flatten()
            .any(|taint| taint.effect != "PreferNoSchedule");
    let conditions = node
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let is_ready = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    is_ready && !is_closed
}

/// Drains one of the nodes that the workload runs on, lets messages go on without it, and uncordons it.
pub(super) async fn drain(
    site: &Site,
    journals: &Journals,
    step: Step,
) -> Result<String, ChaosError> {
    let node = choose(&site.kube, step.which).await?;
    cordon(site, &node).await.map_err(of_engine)?;
    let gone_on = without(site, journals, &node, step.hold).await;
    // Also when it was not empty in time: the lab is left as it was.
    uncordon_all(site).await.map_err(of_engine)?;
    let evicted = gone_on?;
    Ok(format!(
        "{evicted} pods evicted from {node}, {} messages confirmed without it",
        step.hold
    ))
}

/// One of the nodes that run a part of the workload; a drain of another would strike nothing.
async fn choose(kube: &Kube, which: usize) -> Result<String, ChaosError> {
    let workers = workers(kube).await.map_err(of_engine)?;
    let mut struck = Vec::new();
    for node in workers {
        let pods = on_node(kube, &node).await.map_err(of_engine)?;
        if pods.iter().any(is_of_workload) {
            struck.push(node);
        }
    }
    let index = which.checked_rem(struck.len()).ok_or_else(|| {
        of_engine(ClusterError::malformed(
            "the cluster",
            "no node that takes pods runs a part of the workload",
        ))
    })?;
    Ok(struck.swap_remove(index))
}

fn is_of_workload(pod: &Pod) -> bool {
    let name = pod.labels().get("app.kubernetes.io/name");
    [
        Component::Producer,
        Component::Consumer,
        Component::Rabbitmq,
    ]
    .iter()
    .any(|component| name.is_some_and(|name| name == component.name()))
}

/// Empties a cordoned node and waits for messages; says how many pods left it.
async fn without(
    site: &Site,
    journals: &Journals,
    node: &str,
    messages: u64,
) -> Result<usize, ChaosError> {
    let kube = &site.kube;
    let mut leaving = BTreeSet::new();
    wait::until(&format!("{node} to be empty"), EMPTY, async || {
        let pods = on_node(kube, node).await.map_err(|error| told(&error))?;
        let mut seen = Vec::new();
        for pod in &pods {
            let uid = pod.uid().unwrap_or_default();
            let held_back = if leaving.contains(&uid) {
                None
            } else {
                match evict(kube, pod).await.map_err(|error| told(&error))? {
                    Answer::Accepted => {
                        leaving.insert(uid);
                        None
                    }
                    Answer::NotNow(why) => Some(why),
                }
            };
            let why = held_back.unwrap_or_else(|| "on its way out".to_owned());
            seen.push(format!("{}: {why}", pod.name_any()));
        }
        if seen.is_empty() {
            Ok(())
        } else {
            Err(seen.join("; "))
        }
    })
    .await?;
    let goal = journals.confirmed()? + messages;
    wait::until("messages without it", GO_ON, async || {
        match journals.confirmed() {
            Ok(confirmed) if confirmed >= goal => Ok(()),
            Ok(confirmed) => Err(format!("{confirmed} of {goal} are confirmed")),
            Err(error) => Err(error.to_string()),
        }
    })
    .await?;
    Ok(leaving.len())
}

async fn evict(kube: &Kube, pod: &Pod) -> Result<Answer, ClusterError> {
    let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
    let pods: Api<Pod> = Api::namespaced(kube.client.clone(), &namespace);
    let asked = pods.evict(&name, &EvictParams::default()).await;
    answer(&format!("{namespace}/{name}"), asked)
}

/// The lab's pods on a node that a drain asks to leave.
async fn on_node(kube: &Kube, node: &str) -> Result<Vec<Pod>, ClusterError> {
    let namespaces: BTreeSet<String> = Component::ALL
        .into_iter()
        .map(|component| kube.namespace(component))
        .collect();
    let pods: Api<Pod> = Api::all(kube.client.clone());
    let here = ListParams::default()
        .labels(OF_LAB)
        .fields(&format!("spec.nodeName={node}"));
    let mut found = pods
        .list(&here)
        .await
        .map_err(ClusterError::kubernetes(format!("list the pods of {node}")))?
        .items;
    found.retain(|pod| is_evicted(pod, &namespaces));
    Ok(found)
}

async fn cordon(site: &Site, node: &str) -> Result<(), ClusterError> {
    let mark = json!(site.file.instance);
    change(&site.kube, node, "cordon", &mark, &json!(true)).await
}

/// Uncordons every node that a campaign of this lab has cordoned.
pub(super) async fn uncordon_all(site: &Site) -> Result<(), ClusterError> {
    let nodes: Api<Node> = Api::all(site.kube.client.clone());
    let nodes =
        nodes
            .list_metadata(&ListParams::default())
            .await
            .map_err(ClusterError::kubernetes(
                "say which nodes are still cordoned",
            ))?;
    let mark = site.file.instance.to_string();
    for node in nodes {
        if node.annotations().get(MARK) == Some(&mark) {
            let name = node.name_any();
            change(&site.kube, &name, "uncordon", &Value::Null, &Value::Null).await?;
        }
    }
    Ok(())
}

async fn change(
    kube: &Kube,
    node: &str,
    action: &str,
    mark: &Value,
    unschedulable: &Value,
) -> Result<(), ClusterError> {
    let patch = json!({
        "metadata": { "annotations": { MARK: mark } },
        "spec": { "unschedulable": unschedulable },
    });
    let nodes: Api<Node> = Api::all(kube.client.clone());
    nodes
        .patch(node, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .map(drop)
        .map_err(ClusterError::kubernetes(format!(
            "{action} the node {node}"
        )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(spec: Value, ready: &str) -> Node {
        serde_json::from_value(json!({
            "spec": spec,
            "status": { "conditions": [{ "type": "Ready", "status": ready,
                "lastHeartbeatTime": null, "lastTransitionTime": null }] },
        }))
        .unwrap()
    }

    #[test]
    fn only_a_ready_node_that_is_open_to_all_takes_pods() {
        let taint = |effect: &str| json!({ "taints": [{ "key": "k", "effect": effect }] });
        for (spec, ready, expected) in [
            (json!({}), "True", true),
            (taint("PreferNoSchedule"), "True", true),
            (json!({}), "Unknown", false),
            (json!({ "unschedulable": true }), "True", false),
            // The control plane of a cluster with workers.
            (taint("NoSchedule"), "True", false),
        ] {
            assert_eq!(takes_pods(&node(spec.clone(), ready)), expected, "{spec}");
        }
    }
}
