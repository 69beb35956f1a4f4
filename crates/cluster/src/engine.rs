//! The cluster engines as verification sees them: ports forwarded through the API server, facts of the API server, and
//! faults that Argo CD heals.

mod faults;
mod forward;
mod kubernetes;
mod policies;

use std::{collections::BTreeMap, net::SocketAddr};

use blueprint::{Account, Component};
use futures_util::future::BoxFuture;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, ResourceExt as _, api::ListParams};
use tokio::sync::Mutex;
use verify::{Cause, Engine, EngineError, Fault, Kubernetes, NodeFacts, Presence};

use self::forward::Forward;
use crate::{ClusterError, Site, objects::Kinds, secrets, workloads::workload};

/// A lab on a cluster.
pub struct ClusterEngine {
    site: Site,
    presence: BTreeMap<Component, Presence>,
    passwords: BTreeMap<Account, String>,
    /// By component and port, and by node for what runs on each.
    forwards: Mutex<BTreeMap<String, Forward>>,
    kinds: Mutex<Kinds>,
}

impl ClusterEngine {
    /// The engine of a lab: what the cluster has of it now.
    ///
    /// # Errors
    /// When the API server does not answer, or a Secret is missing.
    pub async fn of(site: Site) -> Result<Self, ClusterError> {
        let mut presence = BTreeMap::new();
        for component in Component::ALL {
            let found = workload(&site.kube, component).await?;
            presence.insert(
                component,
                match found {
                    Some(_) => Presence::Present,
                    None => Presence::Absent {
                        reason: format!("nothing has applied {component}"),
                        remedy: "run `cargo xtask bootstrap`, and see `cargo xtask status`"
                            .to_owned(),
                    },
                },
            );
        }
        let mut passwords = BTreeMap::new();
        for account in Account::ALL {
            passwords.insert(account, secrets::password(&site.kube, account).await?);
        }
        Ok(Self {
            site,
            presence,
            passwords,
            forwards: Mutex::default(),
            kinds: Mutex::default(),
        })
    }

    async fn forwarded(
        &self,
        component: Component,
        port: &str,
        node: Option<&str>,
    ) -> Result<SocketAddr, EngineError> {
        let number = component
            .ports()
            .iter()
            .find(|declared| declared.name == port)
            .ok_or_else(|| EngineError::UnknownPort {
                component,
                port: port.to_owned(),
            })?
            .number;
        let key = format!("{component}/{port}/{}", node.unwrap_or_default());
        let mut forwards = self.forwards.lock().await;
        if let Some(forward) = forwards.get(&key) {
            return Ok(forward.address());
        }
        let forward = Forward::start(self.site.kube.clone(), component, number, node)
            .await
            .map_err(|source| EngineError::OutOfReach {
                component,
                source: source.into(),
            })?;
        let address = forward.address();
        forwards.insert(key, forward);
        Ok(address)
    }

    async fn node_facts(&self) -> Result<Vec<NodeFacts>, Cause> {
        let nodes: Api<Node> = Api::all(self.site.kube.client.clone());
        let nodes = nodes
            .list(&ListParams::default())
            .await
            .map_err(ClusterError::kubernetes("list the nodes"))?;
        let mut facts = Vec::new();
        for node in nodes {
            let name = node.name_any();
            let capacity = node
                .status
                .as_ref()
                .and_then(|status| status.capacity.as_ref()?.get("memory"))
                .ok_or_else(|| format!("the node {name} does not say how much memory it has"))?;
            let memory_bytes = kubernetes::bytes(&capacity.0)
                .ok_or_else(|| format!("the node {name} has `{}` of memory", capacity.0))?;
            let exporter = self
                .forwarded(Component::NodeExporter, "metrics", Some(&name))
                .await?;
            facts.push(NodeFacts {
                name,
                memory_bytes,
                // The API server does not know it.
                booted_at_seconds: None,
                exporter,
            });
        }
        Ok(facts)
    }
}

impl Engine for ClusterEngine {
    fn name(&self) -> &'static str {
        self.site.file.engine.name()
    }

    fn lab(&self) -> &str {
        self.site.lab.name()
    }

    fn namespace(&self, component: Component) -> String {
        self.site.kube.namespace(component)
    }

    fn presence(&self, component: Component) -> Presence {
        self.presence[&component].clone()
    }

    fn address(
        &self,
        component: Component,
        port: &str,
    ) -> BoxFuture<'_, Result<SocketAddr, EngineError>> {
        let port = port.to_owned();
        Box::pin(async move { self.forwarded(component, &port, None).await })
    }

    fn password(&self, account: Account) -> Result<String, EngineError> {
        Ok(self.passwords[&account].clone())
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeFacts>, EngineError>> {
        Box::pin(async {
            self.node_facts()
                .await
                .map_err(|source| EngineError::Nodes { source })
        })
    }

    fn kubernetes(&self) -> Option<&dyn Kubernetes> {
        Some(self)
    }

    fn inject(&self, fault: Fault) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            faults::inject(&self.site, fault)
                .await
                .map_err(|source| EngineError::Fault {
                    fault,
                    action: "injected",
                    source: source.into(),
                })
        })
    }

    fn heal(&self, fault: Fault) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            faults::heal(&self.site, fault)
                .await
                .map_err(|source| EngineError::Fault {
                    fault,
                    action: "healed",
                    source: source.into(),
                })
        })
    }
}
