//! Pods that are deleted under load; their successors are the controllers' affair.

use std::{collections::BTreeSet, time::Duration};

use blueprint::Component;
use chaos::{ChaosError, wait};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, ListParams, Preconditions},
};

use super::{of_engine, told};
use crate::{ClusterError, Kube, workloads::selector};

/// How long a pod may take to be gone and to have a successor: the broker's grace period is two minutes.
const SUCCESSION: Duration = Duration::from_secs(180);

/// How long a pod has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grace {
    /// As long as its own specification says.
    Its,
    /// None: the API server forgets it at once, and its successor starts while the kubelet ends it.
    None,
}

/// Deletes one of a component's pods and waits until it is gone and has a successor.
pub(super) async fn delete(
    kube: &Kube,
    component: Component,
    which: usize,
    grace: Grace,
) -> Result<String, ChaosError> {
    let before = list(kube, component).await.map_err(of_engine)?;
    let index = which.checked_rem(before.len()).ok_or_else(|| {
        of_engine(ClusterError::malformed(
            component.name(),
            "it has no running pod",
        ))
    })?;
    let victim = &before[index];
    let name = victim.name_any();
    let known: BTreeSet<String> = before.iter().filter_map(Pod::uid).collect();
    let parameters = DeleteParams {
        grace_period_seconds: (grace == Grace::None).then_some(0),
        // A StatefulSet's next pod has the same name.
        preconditions: Some(Preconditions {
            uid: victim.uid(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let pods: Api<Pod> = kube.beside(component);
    pods.delete(&name, &parameters)
        .await
        .map_err(ClusterError::kubernetes(format!("delete the pod {name}")))
        .map_err(of_engine)?;
    let what = format!("a successor of {name}");
    let successor = wait::until(&what, SUCCESSION, async || {
        successor(kube, component, victim, &known).await
    })
    .await?;
    let how = match grace {
        Grace::Its => "deleted",
        Grace::None => "deleted without grace",
    };
    Ok(format!("pod {name} {how}, followed by {successor}"))
}

async fn successor(
    kube: &Kube,
    component: Component,
    victim: &Pod,
    known: &BTreeSet<String>,
) -> Result<String, String> {
    let pods: Api<Pod> = kube.beside(component);
    let found = pods.get_metadata_opt(&victim.name_any()).await;
    let found = found.map_err(|error| error.to_string())?;
    if found.is_some_and(|pod| pod.metadata.uid == victim.uid()) {
        return Err(format!("{} is on its way out", victim.name_any()));
    }
    let now = list(kube, component).await.map_err(|error| told(&error))?;
    now.iter()
        .find(|pod| pod.uid().is_some_and(|uid| !known.contains(&uid)))
        .map(|pod| pod.name_any())
        .ok_or_else(|| format!("{} of its pods are left", now.len()))
}

/// A component's pods that are not on their way out, the oldest first.
pub(super) async fn list(kube: &Kube, component: Component) -> Result<Vec<Pod>, ClusterError> {
    let pods: Api<Pod> = kube.beside(component);
    let mut pods = pods
        .list(&ListParams::default().labels(&selector(component)))
        .await
        .map_err(ClusterError::kubernetes(format!(
            "list the pods of {component}"
        )))?
        .items;
    pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
    pods.sort_by_key(|pod| {
        let created = pod.metadata.creation_timestamp.as_ref();
        (created.map(|time| time.0), pod.name_any())
    });
    Ok(pods)
}
