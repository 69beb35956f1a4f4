//! The registry beside the cluster: a container on the cluster's network, pushed to through a port of 127.0.0.1.

use std::{fs, path::Path, time::Duration};

use lab::LabError;
use serde::Deserialize;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{ContainerEngine, Labels};
use crate::ClusterError;

/// The port on which the registry listens in its container.
const PORT: u16 = 5000;

/// The state of a container that was never started.
const CREATED: &str = "created";

/// How long the registry may take to listen.
const START: Duration = Duration::from_secs(30);

/// How often the port is tried.
const INTERVAL: Duration = Duration::from_millis(50);

/// `manifests/overlays/kind/registry.yaml`.
#[derive(Debug, Deserialize)]
struct Pinned {
    image: String,
}

/// A lab's registry.
#[derive(Clone, Debug)]
pub struct Registry {
    /// The container's name, and its host name on the cluster's network.
    pub name: String,
    /// Its port on 127.0.0.1.
    pub port: u16,
}

impl Registry {
    /// How this machine names it.
    pub fn pushed_to(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How the cluster names it.
    pub fn pulled_from(&self) -> String {
        format!("{}:{PORT}", self.name)
    }

    /// Whether it is there and has held its port, running or stopped. `docker run` leaves a container of the state `created`
    /// when the port is taken or when it is killed; that one is made anew.
    ///
    /// # Errors
    /// When the container engine does not answer.
    pub async fn exists(&self, engine: &ContainerEngine) -> Result<bool, ClusterError> {
        let state = engine.state(&self.name).await?;
        Ok(state.is_some_and(|state| state != CREATED))
    }

    /// Makes it, or starts it again, and waits until it listens. Returns what was done, as a word.
    ///
    /// # Errors
    /// When the container engine refuses, or the registry does not listen.
    pub async fn ensure(
        &self,
        engine: &ContainerEngine,
        network: &str,
        labels: &Labels,
        manifests: &Path,
    ) -> Result<&'static str, ClusterError> {
        let state = engine.state(&self.name).await?;
        if state.as_deref() == Some(CREATED) {
            engine.remove("container", &self.name).await?;
        }
        let done = match state.as_deref() {
            Some("running") => "runs already",
            Some(state) if state != CREATED => {
                engine.start(&self.name).await?;
                "started again"
            }
            _ => {
                let image = image(manifests)?;
                engine.ensure_volume(&self.name, labels).await?;
                let publish = format!("127.0.0.1:{}:{PORT}", self.port);
                let volume = format!("{}:/var/lib/registry", self.name);
                let arguments = [
                    "--network",
                    network,
                    "--publish",
                    &publish,
                    "--volume",
                    &volume,
                    "--restart",
                    "unless-stopped",
                ];
                engine
                    .run_container(&self.name, labels, &arguments, &image)
                    .await?;
                "made"
            }
        };
        self.listens().await?;
        Ok(done)
    }

    async fn listens(&self) -> Result<(), ClusterError> {
        let started = Instant::now();
        while let Err(error) = TcpStream::connect(("127.0.0.1", self.port)).await {
            if started.elapsed() >= START {
                return Err(ClusterError::Silent {
                    container: self.name.clone(),
                    port: self.port,
                    waited: START,
                    source: error,
                });
            }
            sleep(INTERVAL).await;
        }
        Ok(())
    }
}

/// The image that is pinned for it.
fn image(manifests: &Path) -> Result<String, ClusterError> {
    let path = manifests.join("overlays/kind/registry.yaml");
    let text = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
    let pinned: Pinned = serde_yaml::from_str(&text)
        .map_err(|error| ClusterError::malformed(path.display().to_string(), error))?;
    Ok(pinned.image)
}
