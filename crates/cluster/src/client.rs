//! The way to a cluster's API server.

use std::{path::Path, time::Duration};

use blueprint::Component;
use kube::{
    Api, Client, Config, Resource,
    config::{KubeConfigOptions, Kubeconfig},
    core::NamespaceResourceScope,
};

use lab::Cluster;

use crate::{ClusterError, Namespaces};

/// How long the API server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// The way to a lab's cluster: its API server, and the names of the lab's namespaces there.
#[derive(Clone)]
pub struct Kube {
    /// The API server.
    pub client: Client,
    /// The lab's namespaces.
    pub namespaces: Namespaces,
}

impl Kube {
    /// The namespace of a component.
    pub fn namespace(&self, component: Component) -> String {
        self.namespaces.of(component)
    }

    /// The objects of a kind in a component's namespace.
    pub(crate) fn beside<K>(&self, component: Component) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace(component))
    }
}

/// The way to a lab's cluster, by the context of the file where one is given, else of the user's own kubeconfig.
///
/// # Errors
/// When the kubeconfig cannot be read or has no such context. Whether the API server answers is seen at the first request.
pub async fn connect(cluster: &Cluster, file: Option<&Path>) -> Result<Kube, ClusterError> {
    let context = &cluster.context;
    let unusable = |source| ClusterError::Kubeconfig {
        context: context.clone(),
        source,
    };
    let options = KubeConfigOptions {
        context: Some(context.clone()),
        ..KubeConfigOptions::default()
    };
    let kubeconfig = match file {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    }
    .map_err(unusable)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(unusable)?;
    config.connect_timeout = Some(CONNECT);
    let client =
        Client::try_from(config).map_err(ClusterError::kubernetes("set up a connection"))?;
    Ok(Kube {
        client,
        namespaces: Namespaces::new(&cluster.namespace_prefix),
    })
}
