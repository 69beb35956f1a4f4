//! The way to a cluster's API server.

use std::{path::Path, time::Duration};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::ClusterError;

/// How long the API server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// A client for the context, of the file where one is given, else of the user's own kubeconfig.
///
/// # Errors
/// When the kubeconfig cannot be read or has no such context. Whether the API server answers is seen at the first request.
pub async fn connect(context: &str, file: Option<&Path>) -> Result<Client, ClusterError> {
    let unusable = |source| ClusterError::Kubeconfig {
        context: context.to_owned(),
        source,
    };
    let options = KubeConfigOptions {
        context: Some(context.to_owned()),
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
    Client::try_from(config).map_err(ClusterError::kubernetes("set up a connection"))
}
