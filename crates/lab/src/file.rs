//! `lab.json`: a lab's identity, what runs it, and what it must remember between commands.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The version of the directory's layout; another version is refused rather than guessed at.
pub(crate) const VERSION: u64 = 1;

/// A lab's identity and what it must remember between commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabFile {
    pub(crate) version: u64,
    /// The lab's name.
    pub name: String,
    /// Marks everything of the lab: its processes in their environment, its containers and objects by label.
    pub instance: Uuid,
    /// The port on 127.0.0.1 of each `component/port`, kept from one bootstrap to the next.
    pub ports: BTreeMap<String, u16>,
    /// What runs it.
    #[serde(default)]
    pub engine: Engine,
}

/// What runs a lab.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// Plain processes on this machine.
    #[default]
    Host,
    /// A kind cluster that the lab has made for itself.
    Kind(Cluster),
    /// A cluster that was there before the lab.
    Cluster(Cluster),
}

/// How a lab's cluster and its source are reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The context of the kubeconfig.
    pub context: String,
    /// Where this machine pushes the lab's artifact and images: `HOST[:PORT][/PREFIX]`.
    pub registry: String,
    /// Under which name the cluster pulls from it; the same, but for a registry on 127.0.0.1.
    pub pulled_from: String,
    /// Whether the registry speaks plain HTTP.
    pub plain_http: bool,
    /// Stands before the name of each of the lab's namespaces.
    #[serde(default)]
    pub namespace_prefix: String,
    /// The storage class of the lab's volumes; the cluster's default without one.
    #[serde(default)]
    pub storage_class: Option<String>,
}

impl Engine {
    /// The engine's name in reports and on the command line.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Kind(_) => "kind",
            Self::Cluster(_) => "cluster",
        }
    }
}
