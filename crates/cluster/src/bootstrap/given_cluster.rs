//! The cluster engine's own step: a cluster that was there before the lab.

use lab::{Cluster, Engine};
use terminal::{
    Setting,
    cli::ClusterArguments,
    failure::{Exit, Failure},
};

use super::steps::{Did, Steps};
use crate::{ClusterError, Site, connect, run::require};

/// Remembers the cluster and sees whether it answers. What the command line leaves out is as it was before.
pub(super) async fn take(
    setting: &Setting,
    arguments: &ClusterArguments,
    steps: &mut Steps,
) -> anyhow::Result<Site> {
    require(&["kustomize"])?;
    let remembered = remembered(setting)?;
    let cluster = merge(arguments, remembered.as_ref()).ok_or_else(nowhere)?;
    let mut file = setting
        .lab
        .load_or_create(&Engine::Cluster(cluster.clone()))?;
    file.engine = Engine::Cluster(cluster.clone());
    setting.lab.save(&file)?;
    let kube = steps
        .run("api server", "asking for its version", async {
            let kube = connect(&cluster, None).await?;
            let version = kube
                .client
                .apiserver_version()
                .await
                .map_err(ClusterError::kubernetes("say its version"))?;
            Ok::<_, ClusterError>((kube, Did::Nothing(version.git_version)))
        })
        .await?;
    Ok(Site {
        lab: setting.lab.clone(),
        file,
        cluster,
        kube,
        manifests: setting.root.join("manifests"),
        ca_file: setting.ca_file.clone(),
    })
}

/// The registry that the cluster pulls from.
pub(super) fn registry(setting: &Setting, arguments: &ClusterArguments) -> anyhow::Result<String> {
    let cluster = merge(arguments, remembered(setting)?.as_ref()).ok_or_else(nowhere)?;
    Ok(cluster.pulled_from)
}

fn remembered(setting: &Setting) -> Result<Option<Cluster>, lab::LabError> {
    Ok(match setting.lab.load()?.map(|file| file.engine) {
        Some(Engine::Cluster(cluster)) => Some(cluster),
        _ => None,
    })
}

fn nowhere() -> Failure {
    Failure::new(
        Exit::Missing,
        "nothing says which cluster and which registry to use",
    )
    .hint("give both: --engine cluster --context CTX --registry HOST/REPO")
}

/// What the command line says, and what it said before where it is silent; `None` without a context or a registry.
fn merge(arguments: &ClusterArguments, before: Option<&Cluster>) -> Option<Cluster> {
    let registry = arguments
        .registry
        .clone()
        .or_else(|| before.map(|before| before.registry.clone()))?;
    let is_same_registry = before.is_some_and(|before| before.registry == registry);
    Some(Cluster {
        context: arguments
            .context
            .clone()
            .or_else(|| before.map(|before| before.context.clone()))?,
        plain_http: arguments.plain_http
            || is_same_registry && before.is_some_and(|before| before.plain_http),
        pulled_from: registry.clone(),
        registry,
        namespace_prefix: arguments
            .namespace_prefix
            .clone()
            .or_else(|| before.map(|before| before.namespace_prefix.clone()))
            .unwrap_or_default(),
        storage_class: arguments
            .storage_class
            .clone()
            .or_else(|| before.and_then(|before| before.storage_class.clone())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(context: Option<&str>, registry: Option<&str>) -> ClusterArguments {
        ClusterArguments {
            context: context.map(str::to_owned),
            registry: registry.map(str::to_owned),
            plain_http: false,
            namespace_prefix: None,
            storage_class: None,
            git_url: None,
            git_revision: None,
        }
    }

    #[test]
    fn what_is_left_out_is_as_it_was_before() {
        let first = ClusterArguments {
            plain_http: true,
            namespace_prefix: Some("demo-".to_owned()),
            storage_class: Some("fast".to_owned()),
            ..arguments(Some("prod"), Some("registry/team"))
        };
        let before = merge(&first, None).unwrap();
        assert_eq!(
            merge(&arguments(None, None), Some(&before)),
            Some(before.clone())
        );
        let moved = merge(&arguments(None, Some("other/team")), Some(&before)).unwrap();
        assert_eq!(moved.namespace_prefix, "demo-");
        assert!(!moved.plain_http, "another registry may have TLS");
    }

    #[test]
    fn a_cluster_needs_a_context_and_a_registry() {
        assert_eq!(merge(&arguments(Some("prod"), None), None), None);
        assert_eq!(merge(&arguments(None, Some("registry/team")), None), None);
    }
}
