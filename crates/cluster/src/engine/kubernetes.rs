//! The facts of the API server that verification compares components with.

use std::collections::BTreeSet;

use blueprint::Component;
use futures_util::future::{BoxFuture, try_join_all};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, ListParams},
    core::TypeMeta,
};
use serde::Deserialize;
use verify::{ApplicationFacts, EngineError, Kubernetes, Measured, NodeUsage, TrackedObject};

use super::ClusterEngine;
use crate::{
    ClusterError, Kube,
    argocd::{self, Resource, TRACKING},
    objects::Kinds,
    workloads::selector,
};

/// The metrics API's list of nodes (`metrics.k8s.io/v1beta1`).
#[derive(Debug, Deserialize)]
struct NodeMetricsList {
    items: Vec<NodeMetrics>,
}

#[derive(Debug, Deserialize)]
struct NodeMetrics {
    metadata: Name,
    timestamp: Timestamp,
    usage: Usage,
}

#[derive(Debug, Deserialize)]
struct Name {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Usage {
    memory: String,
}

impl ClusterEngine {
    async fn application_facts(
        &self,
        component: Component,
    ) -> Result<ApplicationFacts, ClusterError> {
        let kube = &self.site.kube;
        let name = component.name();
        let application = argocd::api(kube)
            .get(name)
            .await
            .map_err(ClusterError::kubernetes(format!(
                "read the Application {name}"
            )))?;
        let desired = argocd::desired(kube)
            .await?
            .map(|revision| revision.revision);
        let message = argocd::message(&application);
        let status = application.status.unwrap_or_default();
        let mut apis = Vec::new();
        let mut kinds = self.kinds.lock().await;
        for resource in &status.resources {
            apis.push((resource, of_kind(kube, &mut kinds, resource).await?));
        }
        drop(kinds);
        let objects = apis
            .into_iter()
            .map(|(resource, api)| tracked(api, resource));
        let objects = try_join_all(objects).await?;
        Ok(ApplicationFacts {
            name: name.to_owned(),
            desired: desired.unwrap_or_default(),
            compared: status.sync.compared_to.source.target_revision,
            sync: status.sync.status.to_string(),
            health: status.health.status.to_string(),
            message,
            objects,
        })
    }

    async fn pods(&self) -> Result<BTreeSet<String>, ClusterError> {
        let pods: Api<Pod> = Api::all(self.site.kube.client.clone());
        let running = ListParams::default().fields("status.phase=Running");
        let pods = pods
            .list_metadata(&running)
            .await
            .map_err(ClusterError::kubernetes("list the pods that run"))?;
        Ok(pods
            .into_iter()
            .filter_map(|pod| pod.metadata.uid)
            .collect())
    }

    async fn usage(&self) -> Result<Vec<NodeUsage>, ClusterError> {
        let kube = &self.site.kube;
        let nodes: Api<Node> = Api::all(kube.client.clone());
        let nodes = nodes
            .list(&ListParams::default())
            .await
            .map_err(ClusterError::kubernetes("list the nodes"))?;
        let request = kube::core::Request::new("/apis/metrics.k8s.io/v1beta1/nodes")
            .list(&ListParams::default())
            .map_err(|error| ClusterError::malformed("a request", error))?;
        let metrics: NodeMetricsList = kube
            .client
            .request(request)
            .await
            .map_err(ClusterError::kubernetes("ask the metrics API"))?;
        Ok(nodes
            .into_iter()
            .map(|node| {
                let name = node.name_any();
                let capacity = node
                    .status
                    .and_then(|status| status.capacity?.remove("memory"));
                let measured = metrics
                    .items
                    .iter()
                    .find(|metrics| metrics.metadata.name == name)
                    .and_then(|metrics| {
                        Some(Measured {
                            at: metrics.timestamp,
                            memory_bytes: bytes(&metrics.usage.memory)?,
                        })
                    });
                NodeUsage {
                    node: name,
                    capacity_bytes: capacity
                        .and_then(|quantity| bytes(&quantity.0))
                        .unwrap_or_default(),
                    measured,
                }
            })
            .collect())
    }

    async fn start(&self, component: Component) -> Result<Timestamp, ClusterError> {
        let pods: Api<Pod> = Api::namespaced(self.site.kube.client.clone(), component.namespace());
        let pods = pods
            .list(&ListParams::default().labels(&selector(component)))
            .await
            .map_err(ClusterError::kubernetes(format!(
                "list the pods of {component}"
            )))?;
        pods.into_iter()
            .filter_map(|pod| pod.status?.container_statuses?.into_iter().next())
            .filter_map(|container| Some(container.state?.running?.started_at?.0))
            .max()
            .ok_or_else(|| ClusterError::malformed(component.name(), "no container of it runs"))
    }
}

/// The API for objects like this one.
async fn of_kind(
    kube: &Kube,
    kinds: &mut Kinds,
    resource: &Resource,
) -> Result<Api<DynamicObject>, ClusterError> {
    let api_version = match resource.group.as_str() {
        "" => resource.version.clone(),
        group => format!("{group}/{}", resource.version),
    };
    let types = TypeMeta {
        api_version,
        kind: resource.kind.clone(),
    };
    let namespace = Some(resource.namespace.as_str()).filter(|namespace| !namespace.is_empty());
    kinds.api(&kube.client, &types, namespace).await
}

/// One object, as the API server has it.
async fn tracked(
    api: Api<DynamicObject>,
    resource: &Resource,
) -> Result<TrackedObject, ClusterError> {
    let name = resource.to_string();
    let found = api
        .get_metadata_opt(&resource.name)
        .await
        .map_err(ClusterError::kubernetes(format!("read {name}")))?;
    let exists = found
        .as_ref()
        .is_some_and(|found| found.metadata.deletion_timestamp.is_none());
    let tracking_id = found.and_then(|found| found.metadata.annotations?.remove(TRACKING));
    Ok(TrackedObject {
        name,
        exists,
        tracking_id,
    })
}

/// A quantity of memory in bytes (Kubernetes, "Resource units"): plain, or with a binary or decimal suffix.
pub(super) fn bytes(quantity: &str) -> Option<u64> {
    let end = quantity
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at(end);
    let factor: u64 = match suffix {
        "" => 1,
        "k" => 1000,
        "M" => 1000_u64.pow(2),
        "G" => 1000_u64.pow(3),
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

fn told(what: impl Into<String>) -> impl FnOnce(ClusterError) -> EngineError {
    let what = what.into();
    |source| EngineError::ApiServer {
        what,
        source: source.into(),
    }
}

impl Kubernetes for ClusterEngine {
    fn application(
        &self,
        component: Component,
    ) -> BoxFuture<'_, Result<ApplicationFacts, EngineError>> {
        Box::pin(async move {
            self.application_facts(component)
                .await
                .map_err(told(format!("what Argo CD has applied of {component}")))
        })
    }

    fn running_pods(&self) -> BoxFuture<'_, Result<BTreeSet<String>, EngineError>> {
        Box::pin(async { self.pods().await.map_err(told("which pods run")) })
    }

    fn node_usage(&self) -> BoxFuture<'_, Result<Vec<NodeUsage>, EngineError>> {
        Box::pin(async { self.usage().await.map_err(told("what the nodes use")) })
    }

    fn started_at(&self, component: Component) -> BoxFuture<'_, Result<Timestamp, EngineError>> {
        Box::pin(async move {
            self.start(component)
                .await
                .map_err(told(format!("when {component} was started")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_every_unit_that_a_kubelet_writes() {
        assert_eq!(bytes("25223790592"), Some(25_223_790_592));
        assert_eq!(bytes("24632608Ki"), Some(24_632_608 * 1024));
        assert_eq!(bytes("2Gi"), Some(2 << 30));
        assert_eq!(bytes("5M"), Some(5_000_000));
        assert_eq!(bytes("half"), None);
    }
}
