//! The kind engine's own part: a network, a registry and a cluster of containers on this machine, all made for one lab and
//! all found again by its label.

mod cluster;
mod config;
mod containers;
pub(crate) mod journals;
mod mirrors;
mod registry;

pub use cluster::KindCluster;
pub use config::{ClusterConfig, NodePort, node_ports};
pub use containers::{ContainerEngine, Labels};
pub use mirrors::mirror;
pub use registry::Registry;
