//! `logs`: what a component's pods wrote.

use anstream::println;
use futures_util::{AsyncBufReadExt as _, TryStreamExt as _, future::try_join_all};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, LogParams},
};
use terminal::{
    cli,
    failure::{Exit, Failure},
};

use crate::{ClusterError, Site, diagnosis, workloads::selector};

/// Shows what every container of the component wrote, and what it writes with `--follow`.
///
/// # Errors
/// When the component has no pod, or its pods have written nothing because they do not start.
pub async fn run(site: &Site, arguments: cli::Logs) -> anyhow::Result<Exit> {
    let component = arguments.component;
    let namespace = site.kube.namespace(component);
    let pods: Api<Pod> = site.kube.beside(component);
    let selector = selector(component);
    let found = pods
        .list(&ListParams::default().labels(&selector))
        .await
        .map_err(ClusterError::kubernetes(format!(
            "list the pods of {component}"
        )))?;
    if found.items.is_empty() {
        return Err(
            Failure::new(Exit::Missing, format!("{component} has no pod"))
                .hint("`cargo xtask status` tells what Argo CD has applied")
                .into(),
        );
    }
    if let Some(why) = diagnosis::of_pods(&site.kube, &namespace, Some(&selector)).await? {
        anstream::eprintln!("{why}");
    }
    let many = found.items.len() > 1;
    let containers = found.iter().flat_map(|pod| {
        let name = pod.name_any();
        let spec = pod.spec.iter().flat_map(|spec| spec.containers.clone());
        spec.map(move |container| (name.clone(), container.name))
            .collect::<Vec<_>>()
    });
    let shown =
        containers.map(|(pod, container)| show(&pods, pod, container, arguments.follow, many));
    tokio::select! {
        all = try_join_all(shown) => { all?; }
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(Exit::Holds)
}

async fn show(
    pods: &Api<Pod>,
    pod: String,
    container: String,
    follow: bool,
    many: bool,
) -> Result<(), ClusterError> {
    let parameters = LogParams {
        container: Some(container.clone()),
        follow,
        ..LogParams::default()
    };
    let failed = || ClusterError::kubernetes(format!("read the log of {container} in {pod}"));
    let stream = pods.log_stream(&pod, &parameters).await.map_err(failed())?;
    let mut lines = stream.lines();
    while let Some(line) = lines
        .try_next()
        .await
        .map_err(|error| failed()(kube::Error::ReadEvents(error)))?
    {
        if many {
            println!("{pod}/{container} {line}");
        } else {
            println!("{line}");
        }
    }
    Ok(())
}
