//! Faults, and how Argo CD heals them.
//!
//! Every fault first makes Argo CD leave the Applications alone that would undo it (`skip-reconcile`), then changes the
//! cluster. Healing takes that annotation away and has Argo CD sync: what was broken comes back from the manifests, never from
//! a memory of ours.

use std::{collections::BTreeSet, time::Duration};

use blueprint::{Component, WorkloadKind};
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, StatefulSet},
    core::v1::{ConfigMap, Pod},
    networking::v1::NetworkPolicy,
    rbac::v1::ClusterRoleBinding,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use verify::Fault;

use super::policies;
use crate::{
    ClusterError, Kube, Site,
    argocd::{self, REFRESH, SKIP_RECONCILE, TRACKING},
    workloads::{ready, restart, restart_unready, selector},
};

/// How long pods may take to end, or to be ready again.
const PODS: Duration = Duration::from_secs(120);

/// How long Argo CD may take to bring back what was broken.
const SYNC: Duration = Duration::from_secs(120);

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(200);

/// Says who changed an Application.
const WHO: &str = "lab";

/// Puts the fault in place.
pub(super) async fn inject(site: &Site, fault: Fault) -> Result<(), ClusterError> {
    let kube = &site.kube;
    match fault {
        Fault::Stopped(component) => {
            leave_alone(kube, component.name()).await?;
            stop(kube, component).await
        }
        Fault::LinkCut {
            from: Component::Argocd,
            to,
        } => {
            leave_alone(kube, to.name()).await?;
            delete_one_policy(kube, to).await
        }
        // It answers at the address of its node, and not every network lets a policy say how pods reach their own node.
        Fault::LinkCut {
            from: Component::Prometheus,
            to: Component::NodeExporter,
        } => {
            leave_alone(kube, Component::Prometheus.name()).await?;
            configure(kube, |config| mislead(config, Component::NodeExporter)).await?;
            restart(kube, Component::Prometheus).await
        }
        Fault::LinkCut { from, to } => {
            let policies = policies::between(kube, from, to).await?;
            let applications: BTreeSet<_> =
                policies.iter().map(|policy| &policy.application).collect();
            for application in applications {
                leave_alone(kube, application).await?;
            }
            for policy in &policies {
                delete_policy(kube, &policy.namespace, &policy.name).await?;
            }
            // A connection that was allowed lives on.
            restart(kube, from).await
        }
        Fault::Unlabelled(_) => {
            leave_alone(kube, Component::Prometheus.name()).await?;
            configure(kube, unlabel).await?;
            restart(kube, Component::Prometheus).await
        }
        Fault::LogsHidden => {
            leave_alone(kube, Component::Promtail.name()).await?;
            let bindings: Api<ClusterRoleBinding> = Api::all(kube.client.clone());
            gone(
                bindings
                    .delete("lab-promtail", &DeleteParams::default())
                    .await,
            )
            .map_err(ClusterError::kubernetes(
                "take Promtail's right to see pods",
            ))?;
            // Without a log to read it does not call itself ready.
            restart_unready(kube, Component::Promtail).await
        }
    }
}

/// Undoes the fault, whatever of it is in place.
pub(super) async fn heal(site: &Site, fault: Fault) -> Result<(), ClusterError> {
    let kube = &site.kube;
    let applications = argocd::list(kube).await?;
    let left_alone: Vec<String> = applications
        .iter()
        .filter(|application| application.annotations().contains_key(SKIP_RECONCILE))
        .map(|application| application.name_any())
        .collect();
    for application in &left_alone {
        sync(kube, application).await?;
    }
    for application in &left_alone {
        synced(kube, application).await?;
    }
    match fault {
        // The configuration and the right are read at the start.
        Fault::Unlabelled(_)
        | Fault::LinkCut {
            from: Component::Prometheus,
            to: Component::NodeExporter,
        } => restart(kube, Component::Prometheus).await,
        Fault::LogsHidden => restart(kube, Component::Promtail).await,
        Fault::Stopped(component) => ready(kube, component).await,
        Fault::LinkCut { .. } => Ok(()),
    }
}

/// Makes Argo CD leave an Application alone.
async fn leave_alone(kube: &Kube, application: &str) -> Result<(), ClusterError> {
    let patch = json!({ "metadata": { "annotations": { SKIP_RECONCILE: "true" } } });
    argocd::api(kube)
        .patch(application, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .map(drop)
        .map_err(ClusterError::kubernetes(format!(
            "have Argo CD leave {application} alone"
        )))
}

/// Has Argo CD look at an Application again and apply it. Its own self-healing waits longer each time.
async fn sync(kube: &Kube, application: &str) -> Result<(), ClusterError> {
    let api = argocd::api(kube);
    let action = format!("have Argo CD sync {application}");
    let options = options(kube, application).await?;
    let patch = json!({
        "metadata": { "annotations": { SKIP_RECONCILE: Value::Null, REFRESH: "normal" } },
        "operation": {
            "initiatedBy": { "username": WHO },
            "sync": { "prune": true, "syncOptions": options },
        },
    });
    api.patch(application, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .map(drop)
        .map_err(ClusterError::kubernetes(action))
}

/// The options with which the Application syncs itself; an operation does not take them from there.
async fn options(kube: &Kube, application: &str) -> Result<Value, ClusterError> {
    let object = dynamic(kube)
        .get(application)
        .await
        .map_err(ClusterError::kubernetes(format!(
            "read the Application {application}"
        )))?;
    Ok(object.data["spec"]["syncPolicy"]["syncOptions"].clone())
}

/// Waits until the sync that was asked for is through.
async fn synced(kube: &Kube, application: &str) -> Result<(), ClusterError> {
    let api = dynamic(kube);
    let started = Instant::now();
    loop {
        let found = api
            .get(application)
            .await
            .map_err(ClusterError::kubernetes(format!(
                "read the Application {application}"
            )))?;
        let status = argocd::Status::of(&found);
        let is_through = !found.annotations().contains_key(REFRESH)
            && found.data["operation"].is_null()
            && status.sync.status == argocd::Sync::Synced
            && status
                .operation_state
                .as_ref()
                .is_none_or(|operation| operation.phase != "Running");
        if is_through {
            return Ok(());
        }
        if started.elapsed() >= SYNC {
            return Err(ClusterError::GaveUp {
                what: format!("Argo CD has not synced {application}"),
                waited: SYNC,
                why: status
                    .message()
                    .unwrap_or_else(|| "it does not say why".to_owned()),
            });
        }
        sleep(INTERVAL).await;
    }
}

/// Applications with the fields that the lab does not read, too.
fn dynamic(kube: &Kube) -> Api<DynamicObject> {
    let namespace = kube.namespace(Component::Argocd);
    Api::namespaced_with(kube.client.clone(), &namespace, &argocd::kind())
}

/// Takes the component's pods away: its workload is scaled to nothing, and a DaemonSet, which has no number, is deleted.
/// Both are the manifests' own, so that Argo CD brings them back; a field that it does not own would stay as it was left.
async fn stop(kube: &Kube, component: Component) -> Result<(), ClusterError> {
    let name = component.name();
    let action = format!("stop {component}");
    let none = json!({ "spec": { "replicas": 0 } });
    let parameters = PatchParams::default();
    match component.kind() {
        WorkloadKind::Deployment | WorkloadKind::Upstream => {
            let api: Api<Deployment> = kube.beside(component);
            gone(api.patch(name, &parameters, &Patch::Merge(&none)).await)
        }
        WorkloadKind::StatefulSet => {
            let api: Api<StatefulSet> = kube.beside(component);
            gone(api.patch(name, &parameters, &Patch::Merge(&none)).await)
        }
        WorkloadKind::DaemonSet => {
            let api: Api<DaemonSet> = kube.beside(component);
            gone(api.delete(name, &DeleteParams::default()).await)
        }
    }
    .map_err(ClusterError::kubernetes(&action))?;
    let pods: Api<Pod> = kube.beside(component);
    let started = Instant::now();
    loop {
        let left = pods
            .list_metadata(&ListParams::default().labels(&selector(component)))
            .await
            .map_err(ClusterError::kubernetes(&action))?;
        if left.items.is_empty() {
            return Ok(());
        }
        if started.elapsed() >= PODS {
            return Err(ClusterError::GaveUp {
                what: format!("{component} has not ended"),
                waited: PODS,
                why: format!("pod {} is still there", left.items[0].name_any()),
            });
        }
        sleep(INTERVAL).await;
    }
}

/// Takes away one object that Argo CD applied: the first network policy by name, which nothing but an arrow depends on.
async fn delete_one_policy(kube: &Kube, component: Component) -> Result<(), ClusterError> {
    let policies: Api<NetworkPolicy> = kube.beside(component);
    let ours = format!("{component}:");
    let name = policies
        .list(&ListParams::default())
        .await
        .map_err(ClusterError::kubernetes("list the network policies"))?
        .into_iter()
        .filter(|policy| {
            let id = policy.annotations().get(TRACKING);
            id.is_some_and(|id| id.starts_with(&ours))
        })
        .map(|policy| policy.name_any())
        .min()
        .ok_or_else(|| ClusterError::malformed(component.name(), "it has no network policy"))?;
    delete_policy(kube, &kube.namespace(component), &name).await
}

async fn delete_policy(kube: &Kube, namespace: &str, name: &str) -> Result<(), ClusterError> {
    let policies: Api<NetworkPolicy> = Api::namespaced(kube.client.clone(), namespace);
    gone(policies.delete(name, &DeleteParams::default()).await).map_err(ClusterError::kubernetes(
        format!("delete NetworkPolicy {namespace}/{name}"),
    ))
}

/// What is gone already need not be deleted.
fn gone<T>(deleted: kube::Result<T>) -> kube::Result<()> {
    match deleted {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}

/// Changes the configuration of Prometheus, which reads it when it starts.
async fn configure(kube: &Kube, change: impl Fn(&str) -> String) -> Result<(), ClusterError> {
    const FILE: &str = "prometheus.yml";

    let maps: Api<ConfigMap> = kube.beside(Component::Prometheus);
    let action = "change Prometheus' configuration";
    let found = maps
        .list(&ListParams::default())
        .await
        .map_err(ClusterError::kubernetes(action))?;
    // Those of earlier revisions may lie beside it; who reads none of them does not mind.
    let configurations = found
        .into_iter()
        .filter_map(|map| Some((map.name_any(), change(map.data.as_ref()?.get(FILE)?))));
    for (name, text) in configurations {
        let patch = json!({ "data": { FILE: text } });
        maps.patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .map_err(ClusterError::kubernetes(action))?;
    }
    Ok(())
}

/// `service_name` is written under another name.
fn unlabel(config: &str) -> String {
    config.replace("target_label: service_name", "target_label: unlabelled")
}

/// A component's job finds pods of another name.
fn mislead(config: &str, component: Component) -> String {
    config.replace(
        &format!("job_name: {component}\n"),
        &format!("job_name: not-{component}\n"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = include_str!("../../../../manifests/prometheus/prometheus.yml");

    #[test]
    fn each_change_finds_its_place_in_the_configuration() {
        assert!(!unlabel(CONFIG).contains("target_label: service_name"));
        let misled = mislead(CONFIG, Component::NodeExporter);
        assert!(misled.contains("job_name: not-node-exporter\n"));
        assert!(!misled.contains("job_name: node-exporter\n"));
    }
}
