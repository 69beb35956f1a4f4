//! What only an engine with a Kubernetes API knows: the source that probes compare components with.

use std::collections::BTreeSet;

use blueprint::Component;
use futures_util::future::BoxFuture;
use jiff::Timestamp;

use crate::engine::EngineError;

/// The API server of a lab's cluster. Every answer describes the cluster as it is at the time of the call.
pub trait Kubernetes: Send + Sync {
    /// The Application that applies the component, with what it applied.
    ///
    /// # Errors
    /// When there is none, or the API server does not answer.
    fn application(
        &self,
        component: Component,
    ) -> BoxFuture<'_, Result<ApplicationFacts, EngineError>>;

    /// The uids of the pods that run, of all namespaces.
    ///
    /// # Errors
    /// When the API server does not answer.
    fn running_pods(&self) -> BoxFuture<'_, Result<BTreeSet<String>, EngineError>>;

    /// What the metrics API (`metrics.k8s.io`) says of each node that the API server has.
    ///
    /// # Errors
    /// When the API server does not answer, or nobody serves that API.
    fn node_usage(&self) -> BoxFuture<'_, Result<Vec<NodeUsage>, EngineError>>;

    /// When the container of the component's newest pod was started, by its kubelet.
    ///
    /// # Errors
    /// When it does not run, or the API server does not answer.
    fn started_at(&self, component: Component) -> BoxFuture<'_, Result<Timestamp, EngineError>>;
}

/// An Application of Argo CD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationFacts {
    /// Its name, with which every tracking id begins.
    pub name: String,
    /// The revision that the lab was moved to last.
    pub desired: String,
    /// The revision that the cluster was compared to.
    pub compared: String,
    /// Argo CD's word for the comparison: `Synced` or another.
    pub sync: String,
    /// Argo CD's word for the health: `Healthy` or another.
    pub health: String,
    /// What Argo CD says of it, where it says something.
    pub message: Option<String>,
    /// What it applied, as the API server has it.
    pub objects: Vec<TrackedObject>,
}

/// An object that an Application applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackedObject {
    /// `Kind namespace/name`.
    pub name: String,
    /// Whether the API server has it.
    pub exists: bool,
    /// The annotation by which Argo CD knows it again.
    pub tracking_id: Option<String>,
}

/// What the metrics API says of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeUsage {
    /// The node's name.
    pub node: String,
    /// Its memory in bytes, by the API server.
    pub capacity_bytes: u64,
    /// What was measured; `None` when the metrics API has nothing of the node.
    pub measured: Option<Measured>,
}

/// A measurement of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// When it was taken.
    pub at: Timestamp,
    /// Memory in use, in bytes.
    pub memory_bytes: u64,
}
