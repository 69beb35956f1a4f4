//! The cluster engines as verification sees them: ports forwarded through the API server, facts of the API server, and
//! faults that Argo CD heals.

mod faults;
mod forward;
mod kubernetes;
mod policies;

use std::{collections::BTreeMap, fs, net::SocketAddr, path::Path, sync::Arc};

use blueprint::{Account, Component};
use futures_util::future::BoxFuture;
use k8s_openapi::api::core::v1::Node;
use kube::{Api, ResourceExt as _, api::ListParams};
use lab::LabError;
use serde::Deserialize;
use tokio::sync::Mutex;
use verify::{Cause, Engine, EngineError, Fault, Kubernetes, NodeFacts, Presence};

use self::forward::Forward;
use crate::{ClusterError, Site, objects::Kinds, secrets};

/// A lab on a cluster.
pub struct ClusterEngine {
    site: Site,
    presence: BTreeMap<Component, Presence>,
    passwords: BTreeMap<Account, String>,
    /// By component and port, and by node for what runs on each.
    forwards: Mutex<BTreeMap<String, Arc<Forward>>>,
    kinds: Mutex<Kinds>,
}

/// The list of Applications.
#[derive(Deserialize)]
struct Apps {
    resources: Vec<String>,
}

/// A component is part of the lab when an Application applies it. One that should be there and is not is broken, not absent.
fn presence(manifests: &Path) -> Result<BTreeMap<Component, Presence>, ClusterError> {
    let path = manifests.join("apps/kustomization.yaml");
    let text = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
    let apps: Apps = serde_yaml::from_str(&text)
        .map_err(|error| ClusterError::malformed(path.display().to_string(), error))?;
    let presence = |component: Component| {
        let file = format!("{component}.yaml");
        if component == Component::Argocd || apps.resources.contains(&file) {
            return Presence::Present;
        }
        Presence::Absent {
            reason: format!("manifests/apps has no Application of {component}"),
            remedy: format!("list {file} in manifests/apps/kustomization.yaml, and push"),
        }
    };
    Ok(Component::ALL
        .into_iter()
        .map(|component| (component, presence(component)))
        .collect())
}

impl ClusterEngine {
    /// The engine of a lab.
    ///
    /// # Errors
    /// When the API server does not answer, a Secret is missing, or the list of Applications cannot be read.
    pub async fn of(site: Site) -> Result<Self, ClusterError> {
        let presence = presence(&site.manifests)?;
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
        let out_of_reach = |source: Cause| EngineError::OutOfReach { component, source };
        let mut forwards = self.forwards.lock().await;
        let forward = match forwards.get(&key) {
            Some(forward) => Arc::clone(forward),
            None => {
                let kube = self.site.kube.clone();
                let forward = Forward::start(kube, component, number, node)
                    .await
                    .map_err(|error| out_of_reach(error.into()))?;
                let forward = Arc::new(forward);
                forwards.insert(key, Arc::clone(&forward));
                forward
            }
        };
        // Others are not kept waiting for this component's pod.
        drop(forwards);
        forward
            .address()
            .await
            .map_err(|error| out_of_reach(error.into()))
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
