//! A component's workload and its pods, whatever its kind.

use std::time::Duration;

use blueprint::{Component, WorkloadKind};
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment, StatefulSet},
    core::v1::Pod,
};
use kube::{
    Api, Resource, ResourceExt as _,
    api::{DeleteParams, ListParams},
    core::NamespaceResourceScope,
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};

use crate::{ClusterError, Kube, diagnosis};

/// The Deployment whose page is Argo CD's.
const ARGOCD_SERVER: &str = "argocd-server";

/// How long pods may take to be ready again.
const READY: Duration = Duration::from_secs(120);

/// How often they are looked at.
const INTERVAL: Duration = Duration::from_millis(200);

/// A workload, whatever its kind.
#[derive(Debug, Default)]
pub(crate) struct Workload {
    pub(crate) wanted: i32,
    pub(crate) ready: i32,
    pub(crate) version: Option<String>,
}

/// The workload that runs a component; `None` where there is none.
pub(crate) async fn workload(
    kube: &Kube,
    component: Component,
) -> Result<Option<Workload>, ClusterError> {
    let name = component.name();
    match component.kind() {
        WorkloadKind::Upstream => read(kube, component, ARGOCD_SERVER, deployment).await,
        WorkloadKind::Deployment => read(kube, component, name, deployment).await,
        WorkloadKind::StatefulSet => read(kube, component, name, stateful_set).await,
        WorkloadKind::DaemonSet => read(kube, component, name, daemon_set).await,
    }
}

/// Reads a workload; `pods` tells how many of its pods are wanted and how many are ready.
async fn read<K>(
    kube: &Kube,
    component: Component,
    name: &str,
    pods: fn(&K) -> (i32, i32),
) -> Result<Option<Workload>, ClusterError>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let api: Api<K> = kube.beside(component);
    let action = format!("read the workload of {component}");
    let found = api
        .get_opt(name)
        .await
        .map_err(ClusterError::kubernetes(action))?;
    Ok(found.map(|object| {
        let (wanted, ready) = pods(&object);
        Workload {
            wanted,
            ready,
            version: object.labels().get("app.kubernetes.io/version").cloned(),
        }
    }))
}

fn deployment(object: &Deployment) -> (i32, i32) {
    let wanted = object.spec.as_ref().and_then(|spec| spec.replicas);
    let ready = object
        .status
        .as_ref()
        .and_then(|status| status.ready_replicas);
    (wanted.unwrap_or(1), ready.unwrap_or_default())
}

fn stateful_set(object: &StatefulSet) -> (i32, i32) {
    let wanted = object.spec.as_ref().and_then(|spec| spec.replicas);
    let ready = object
        .status
        .as_ref()
        .and_then(|status| status.ready_replicas);
    (wanted.unwrap_or(1), ready.unwrap_or_default())
}

fn daemon_set(object: &DaemonSet) -> (i32, i32) {
    let status = object.status.clone().unwrap_or_default();
    (status.desired_number_scheduled, status.number_ready)
}

/// The labels of a component's pods.
pub(crate) fn selector(component: Component) -> String {
    match component {
        Component::Argocd => "app.kubernetes.io/part-of=argocd".to_owned(),
        _ => format!("app.kubernetes.io/name={component}"),
    }
}

/// Deletes the component's pods and waits until new ones are ready. Its volumes stay.
pub(crate) async fn restart(kube: &Kube, component: Component) -> Result<(), ClusterError> {
    delete_pods(kube, component).await?;
    ready(kube, component).await
}

/// Deletes the component's pods and waits until new ones run, ready or not.
pub(crate) async fn restart_unready(kube: &Kube, component: Component) -> Result<(), ClusterError> {
    delete_pods(kube, component).await?;
    let pods: Api<Pod> = kube.beside(component);
    let started = Instant::now();
    loop {
        let found = pods
            .list(&ListParams::default().labels(&selector(component)))
            .await
            .map_err(ClusterError::kubernetes(format!(
                "list the pods of {component}"
            )))?;
        let runs = |pod: &Pod| {
            let phase = pod
                .status
                .as_ref()
                .and_then(|status| status.phase.as_deref());
            pod.metadata.deletion_timestamp.is_none() && phase == Some("Running")
        };
        if !found.items.is_empty() && found.iter().all(runs) {
            return Ok(());
        }
        if started.elapsed() >= READY {
            return Err(ClusterError::GaveUp {
                what: format!("{component} does not run again"),
                waited: READY,
                why: format!("it has {} pods", found.items.len()),
            });
        }
        sleep(INTERVAL).await;
    }
}

async fn delete_pods(kube: &Kube, component: Component) -> Result<(), ClusterError> {
    let pods: Api<Pod> = kube.beside(component);
    pods.delete_collection(
        &DeleteParams::default(),
        &ListParams::default().labels(&selector(component)),
    )
    .await
    .map(drop)
    .map_err(ClusterError::kubernetes(format!("restart {component}")))
}

/// Whether a pod takes connections, by its own word.
pub(crate) fn pod_is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// Whether the component's pods are ready and none is on its way out.
pub(crate) async fn is_ready(kube: &Kube, component: Component) -> Result<bool, ClusterError> {
    let pods: Api<Pod> = kube.beside(component);
    let found = pods
        .list_metadata(&ListParams::default().labels(&selector(component)))
        .await
        .map_err(ClusterError::kubernetes(format!(
            "list the pods of {component}"
        )))?;
    let is_ending = found
        .iter()
        .any(|pod| pod.metadata.deletion_timestamp.is_some());
    let state = workload(kube, component).await?;
    Ok(!is_ending && state.is_some_and(|state| state.wanted > 0 && state.ready >= state.wanted))
}

/// Waits until the component's pods are ready and none is on its way out.
pub(crate) async fn ready(kube: &Kube, component: Component) -> Result<(), ClusterError> {
    let started = Instant::now();
    loop {
        if is_ready(kube, component).await? {
            return Ok(());
        }
        if started.elapsed() >= READY {
            let (namespace, selector) = (kube.namespace(component), selector(component));
            let why = diagnosis::of_pods(kube, &namespace, Some(&selector)).await?;
            return Err(ClusterError::GaveUp {
                what: format!("{component} is not ready again"),
                waited: READY,
                why: why.unwrap_or_else(|| "its pods do not say why".to_owned()),
            });
        }
        sleep(INTERVAL).await;
    }
}
