//! A lab on a cluster, as its commands find it: what it remembers, and the way to its API server.

use std::path::{Path, PathBuf};

use blueprint::Component;
use lab::{Cluster, Engine, Lab, LabFile};
use terminal::{
    Setting,
    failure::{Exit, Failure},
};

use crate::{Changes, ClusterError, Kube, connect};

/// A lab that was bootstrapped on a cluster.
#[derive(Clone)]
pub struct Site {
    /// Its directory.
    pub lab: Lab,
    /// What it remembers.
    pub file: LabFile,
    /// How its cluster and its registry are reached.
    pub cluster: Cluster,
    /// The way to the cluster.
    pub kube: Kube,
    /// The directory `manifests/`.
    pub manifests: PathBuf,
    /// Certificate authorities that registries are trusted by, besides those of the system.
    pub ca_file: Option<PathBuf>,
}

impl Site {
    /// The lab of this invocation.
    ///
    /// # Errors
    /// When it was never bootstrapped on a cluster, or its kubeconfig cannot be used.
    pub async fn open(setting: &Setting) -> anyhow::Result<Self> {
        let nowhere = || {
            Failure::new(
                Exit::Missing,
                format!("there is no lab `{}` on a cluster", setting.lab.name()),
            )
            .hint("bring it up with `cargo xtask bootstrap --engine kind`")
        };
        let file = setting.lab.load()?.ok_or_else(nowhere)?;
        let cluster = match &file.engine {
            Engine::Kind(cluster) | Engine::Cluster(cluster) => cluster.clone(),
            Engine::Host => {
                return Err(Failure::new(
                    Exit::Missing,
                    format!(
                        "the lab `{}` is run by the host engine, not on a cluster",
                        setting.lab.name()
                    ),
                )
                .hint("bring another up with `cargo xtask bootstrap --engine kind --name NAME`")
                .into());
            }
        };
        let kubeconfig = kubeconfig(&setting.lab);
        let is_kind = matches!(file.engine, Engine::Kind(_));
        if is_kind && !kubeconfig.exists() {
            return Err(Failure::new(
                Exit::Missing,
                format!("the lab `{}` is down", setting.lab.name()),
            )
            .hint("bring it up with `cargo xtask bootstrap`")
            .into());
        }
        let kube = connect(&cluster, is_kind.then_some(kubeconfig.as_path())).await?;
        Ok(Self {
            lab: setting.lab.clone(),
            file,
            cluster,
            kube,
            manifests: setting.root.join("manifests"),
            ca_file: setting.ca_file.clone(),
        })
    }

    /// Where a component's page is reached from this machine; `None` where no port of it leads into the cluster.
    pub fn page(&self, component: Component) -> Option<String> {
        component.ports().iter().find_map(|port| {
            let number = self.file.ports.get(&format!("{component}/{}", port.name))?;
            Some(format!("http://127.0.0.1:{number}"))
        })
    }

    /// Whether the lab has made its cluster itself.
    pub fn is_kind(&self) -> bool {
        matches!(self.file.engine, Engine::Kind(_))
    }

    /// What this cluster wants otherwise than the manifests say.
    pub fn changes(&self) -> Changes {
        Changes {
            namespaces: self.kube.namespaces.clone(),
            storage_class: self.cluster.storage_class.clone(),
        }
    }

    /// The source that Argo CD reads, where it is an artifact.
    pub fn source(&self) -> crate::argocd::Source {
        crate::argocd::Source::artifact(&self.cluster.pulled_from, self.cluster.plain_http)
    }

    /// The way to the registry that the lab pushes to.
    pub fn registry(&self) -> oci::Registry {
        let host = self.cluster.registry.split('/').next();
        client(
            self.ca_file.as_deref(),
            host.filter(|_| self.cluster.plain_http),
        )
    }

    /// Where the manifests are pushed to, under a tag that moves with every push.
    ///
    /// # Errors
    /// When the registry's address is malformed.
    pub fn artifact(&self) -> Result<oci::Reference, ClusterError> {
        Ok(format!("{}/manifests:latest", self.cluster.registry).parse()?)
    }

    /// The Applications' directory in the artifact.
    pub fn apps(&self) -> &'static str {
        if self.is_kind() {
            "manifests/overlays/kind/apps"
        } else {
            "manifests/apps"
        }
    }

    /// The directory of Argo CD's own manifests.
    pub fn argocd(&self) -> &'static str {
        if self.is_kind() {
            "overlays/kind/argocd"
        } else {
            "argocd"
        }
    }
}

/// The kubeconfig of a kind cluster: written when the cluster is whole.
pub(crate) fn kubeconfig(lab: &Lab) -> PathBuf {
    lab.directory().join("kubeconfig")
}

/// Where a kind cluster's producers and consumers keep their journals on this machine.
pub(crate) fn journals_directory(lab: &Lab) -> PathBuf {
    lab.directory().join("journals")
}

/// The way to registries, with Docker's logins. `plain_http` is one that has no TLS.
pub(crate) fn client(ca_file: Option<&Path>, plain_http: Option<&str>) -> oci::Registry {
    oci::Registry::new(oci::Settings {
        plain_http: plain_http.into_iter().map(str::to_owned).collect(),
        ca_file: ca_file.map(Path::to_owned),
        ..oci::Settings::from_environment()
    })
}
