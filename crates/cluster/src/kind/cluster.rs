//! The cluster itself: `kind create cluster`, and what is left of one that was interrupted.

use std::{path::Path, time::Duration};

use lab::{LabError, write_atomically};
use xshell::cmd;

use super::{ClusterConfig, ContainerEngine, containers::shell};
use crate::{ClusterError, run::run};

/// A question that kind answers from the container engine.
const QUICK: Duration = Duration::from_secs(60);

/// The node's image over a slow line, and a start on a slow disk.
const CREATE: Duration = Duration::from_secs(1800);

/// A kind cluster that belongs to one lab.
#[derive(Clone, Debug)]
pub struct KindCluster {
    /// kind's name for it.
    pub name: String,
    /// The network of its nodes, which is the lab's own.
    pub network: String,
    /// What its nodes run on.
    pub engine: ContainerEngine,
}

impl KindCluster {
    /// Its context in kubeconfigs.
    pub fn context(&self) -> String {
        format!("kind-{}", self.name)
    }

    /// Its only node.
    pub fn node(&self) -> String {
        format!("{}-control-plane", self.name)
    }

    /// Whether kind knows it, whole or in parts.
    ///
    /// # Errors
    /// When kind or the container engine does not answer.
    pub async fn exists(&self) -> Result<bool, ClusterError> {
        let clusters = self.kind(&["get", "clusters"], QUICK).await?;
        Ok(clusters.lines().any(|line| line == self.name))
    }

    /// Makes it, or starts it again. `kubeconfig` is written last: a cluster without it was interrupted half way and has to be
    /// deleted first. Returns what was done, as a word.
    ///
    /// # Errors
    /// When kind refuses; the node is kept then, so that its logs can be read, and made anew the next time.
    pub async fn ensure(
        &self,
        config: &ClusterConfig,
        directory: &Path,
        kubeconfig: &Path,
    ) -> Result<&'static str, ClusterError> {
        if kubeconfig.exists() && self.exists().await? {
            return self.start().await;
        }
        let file = directory.join("kind.yaml");
        write_atomically(&file, config.text()?.as_bytes(), 0o600)?;
        let path = file.display().to_string();
        let create = [
            "create", "cluster", "--name", &self.name, "--config", &path, "--retain",
        ];
        self.kind(&create, CREATE).await?;
        let staged = directory.join("kubeconfig.new");
        let path = staged.display().to_string();
        self.kind(
            &[
                "export",
                "kubeconfig",
                "--name",
                &self.name,
                "--kubeconfig",
                &path,
            ],
            QUICK,
        )
        .await?;
        std::fs::rename(&staged, kubeconfig).map_err(LabError::file("write", kubeconfig))?;
        Ok("made")
    }

    /// A restart of the container engine, or of the machine, leaves the node stopped.
    async fn start(&self) -> Result<&'static str, ClusterError> {
        let node = self.node();
        match self.engine.state(&node).await?.as_deref() {
            Some("running") => Ok("runs already"),
            _ => {
                self.engine.start(&node).await?;
                Ok("started again")
            }
        }
    }

    /// Deletes it, and its entries in the user's kubeconfig.
    ///
    /// # Errors
    /// When kind refuses.
    pub async fn delete(&self) -> Result<(), ClusterError> {
        self.kind(&["delete", "cluster", "--name", &self.name], QUICK)
            .await
            .map(drop)
    }

    async fn kind(&self, arguments: &[&str], bound: Duration) -> Result<String, ClusterError> {
        let (shell, network, provider) = (shell()?, &self.network, self.engine.program());
        let command = cmd!(shell, "kind {arguments...}")
            // Each lab has a network of its own, which goes with it; kind's own is never removed.
            .env("KIND_EXPERIMENTAL_DOCKER_NETWORK", network)
            .env("KIND_EXPERIMENTAL_PODMAN_NETWORK", network)
            .env("KIND_EXPERIMENTAL_PROVIDER", provider);
        run(command, bound).await
    }
}
