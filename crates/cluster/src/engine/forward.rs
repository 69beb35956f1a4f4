//! A port of 127.0.0.1 that leads to a component's pod, through the API server: verification needs no port of the cluster to
//! be open.
//!
//! The pod is looked for at each connection, so that the forward outlives the pod: a component that was restarted is reached
//! again, and one that is gone refuses the connection.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use blueprint::Component;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::ListParams};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    ClusterError, Kube,
    workloads::{pod_is_ready, selector},
};

/// How long a component may have no pod that runs.
const RESTART: Duration = Duration::from_secs(3);

/// How often a pod is looked for.
const INTERVAL: Duration = Duration::from_millis(200);

/// A listening port; dropped, it listens no more.
pub(super) struct Forward {
    address: SocketAddr,
    task: JoinHandle<()>,
    target: Target,
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Which pod a forward leads to.
#[derive(Clone)]
struct Target {
    pods: Api<Pod>,
    selector: String,
    component: Component,
    port: u16,
    node: Option<String>,
}

impl Forward {
    /// Listens on a free port for connections to `port` of the component's pod, on this node where one is named.
    pub(super) async fn start(
        kube: Kube,
        component: Component,
        port: u16,
        node: Option<&str>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let target = Target {
            pods: kube.beside(component),
            selector: match component {
                // The page of Argo CD, of all its pods.
                Component::Argocd => "app.kubernetes.io/name=argocd-server".to_owned(),
                _ => selector(component),
            },
            component,
            port,
            node: node.map(str::to_owned),
        };
        let carried = target.clone();
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let target = carried.clone();
                // A connection that cannot be forwarded is closed, which is what its client has to see.
                tokio::spawn(async move { drop(target.carry(connection).await) });
            }
        });
        Ok(Self {
            address,
            task,
            target,
        })
    }

    /// The address, once a pod runs behind it; a pod that is just restarted is waited for.
    pub(super) async fn address(&self) -> Result<SocketAddr, ClusterError> {
        let started = Instant::now();
        loop {
            match self.target.pod().await {
                Ok(_) => return Ok(self.address),
                Err(error) if started.elapsed() >= RESTART => return Err(error),
                Err(_) => sleep(INTERVAL).await,
            }
        }
    }
}

impl Target {
    async fn carry(&self, mut connection: TcpStream) -> Result<(), ClusterError> {
        let pod = self.pod().await?;
        let action = format!("forward port {} of {pod}", self.port);
        let mut forwarder = self
            .pods
            .portforward(&pod, &[self.port])
            .await
            .map_err(ClusterError::kubernetes(action))?;
        if let Some(mut stream) = forwarder.take_stream(self.port) {
            // Either side may hang up at any time.
            let _ = copy_bidirectional(&mut connection, &mut stream).await;
        }
        forwarder.abort();
        Ok(())
    }

    /// A pod that runs: one that is ready where there is one, and the newest of them.
    async fn pod(&self) -> Result<String, ClusterError> {
        let action = format!("list the pods of {}", self.component);
        let pods = self
            .pods
            .list(&ListParams::default().labels(&self.selector))
            .await
            .map_err(ClusterError::kubernetes(action))?;
        pods.into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .filter(|pod| {
                let phase = pod
                    .status
                    .as_ref()
                    .and_then(|status| status.phase.as_deref());
                phase == Some("Running")
            })
            .filter(|pod| {
                let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
                self.node.is_none() || self.node.as_ref() == node
            })
            .max_by_key(|pod| {
                let created = pod.metadata.creation_timestamp.as_ref();
                (pod_is_ready(pod), created.map(|time| time.0))
            })
            .map(|pod| pod.name_any())
            .ok_or_else(|| ClusterError::malformed(self.component.name(), "it has no running pod"))
    }
}
