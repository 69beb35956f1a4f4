//! The steps on any cluster: images, namespaces, Secrets, Argo CD, the manifests, the root Application, and the wait.

use std::{collections::BTreeSet, path::Path};

use blueprint::Component;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    ResourceExt as _,
    api::{Patch, PatchParams},
};
use oci::{ImageSource as _, Layout};
use terminal::cli::ClusterArguments;

use super::steps::{Did, Steps};
use crate::{
    ClusterError, Kube, OwnImage, Site, Staged,
    argocd::{self, Source},
    images::{self, OWN},
    kind::{ContainerEngine, mirror},
    kustomize,
    objects::{Applier, FIELD_MANAGER},
    secrets,
};

pub(super) async fn bring_up(
    site: &Site,
    layout: &Layout,
    installation: &Path,
    arguments: &ClusterArguments,
    steps: &mut Steps,
) -> Result<(), ClusterError> {
    let own = steps
        .run("images", "pushing the lab's own", pushed(site, layout))
        .await?;
    let staged = Staged::new(&site.manifests, &own, &site.changes())?;
    let artifact = staged.pack()?;
    let staged = staged.with_installation(installation)?;
    let manifests = staged.manifests();
    let mut applier = Applier::new(site.kube.client.clone());
    if site.is_kind() {
        steps
            .run("mirrors", "naming the lab's registry on the node", async {
                mirrors(site, &manifests).await?;
                Ok::<_, ClusterError>(((), Did::Nothing("the lab's registry first".to_owned())))
            })
            .await?;
    }
    steps
        .run("namespaces", "applying them", async {
            let objects = kustomize::build(&manifests.join("namespaces")).await?;
            refuse_foreign(&site.kube).await?;
            let changed = applier.apply(objects).await?;
            Ok::<_, ClusterError>(((), Did::count(changed, "objects changed")))
        })
        .await?;
    steps
        .run("secrets", "making what is missing", async {
            let changed = secrets::ensure(&site.kube).await?;
            Ok::<_, ClusterError>(((), Did::count(changed, "made")))
        })
        .await?;
    let source = match &arguments.git_url {
        Some(url) => Source::git(url),
        None => site.source(),
    };
    steps
        .run("argo cd", "applying it", async {
            let objects = kustomize::build(&manifests.join(site.argocd())).await?;
            let changed = applier.apply(objects).await?;
            let changed = changed + usize::from(apply_source(site, &source).await?);
            Ok::<_, ClusterError>(((), Did::count(changed, "objects changed")))
        })
        .await?;
    steps
        .run("argo cd's pods", "waiting for them", async {
            argocd::until_ready(&site.kube).await?;
            Ok::<_, ClusterError>(((), Did::Nothing("ready".to_owned())))
        })
        .await?;
    let digest = steps
        .run("manifests", "pushing them", async {
            let moved = site
                .registry()
                .push_artifact(&artifact, &site.artifact()?)
                .await?;
            let did = match moved.blobs {
                0 => Did::Nothing(moved.digest.to_string()),
                _ => Did::Something(moved.digest.to_string()),
            };
            Ok::<_, ClusterError>((moved.digest.to_string(), did))
        })
        .await?;
    let revision = arguments.git_revision.clone().unwrap_or(digest);
    let wanted = source.at(&revision);
    steps
        .run("root", "moving it", async {
            let root = argocd::root(&manifests, &wanted, site.apps())?;
            let changed = argocd::move_to(&site.kube, &root).await?;
            Ok::<_, ClusterError>(((), Did::count(usize::from(changed), "moved")))
        })
        .await?;
    let done = steps
        .run("applications", "waiting for Argo CD", async {
            let done = argocd::until_healthy(&site.kube, &revision).await?;
            Ok::<_, ClusterError>((done, Did::Nothing("synced and healthy".to_owned())))
        })
        .await?;
    steps.note_waves(done);
    Ok(())
}

async fn pushed(site: &Site, layout: &Layout) -> Result<(Vec<OwnImage>, Did), ClusterError> {
    let (images, moved) = push(site, layout).await?;
    Ok((images, Did::count(moved, "layers pushed")))
}

/// A namespace that is there and is not the lab's holds somebody else's work: the lab must not take it over.
async fn refuse_foreign(kube: &Kube) -> Result<(), ClusterError> {
    let api: kube::Api<Namespace> = kube::Api::all(kube.client.clone());
    for component in Component::ALL {
        let name = kube.namespace(component);
        let found = api
            .get_opt(&name)
            .await
            .map_err(ClusterError::kubernetes(format!(
                "read the namespace {name}"
            )))?;
        let is_foreign = found.is_some_and(|namespace| {
            let label = namespace.labels().get("app.kubernetes.io/part-of").cloned();
            label.as_deref() != Some("lab")
        });
        if is_foreign && component.namespace() != "kube-system" {
            return Err(ClusterError::ForeignNamespace { name });
        }
    }
    Ok(())
}

/// Pushes the lab's own images; returns them. Those that are there already cost one question each.
pub(crate) async fn push_images(
    site: &Site,
    layout: &Layout,
) -> Result<Vec<OwnImage>, ClusterError> {
    push(site, layout).await.map(|(images, _)| images)
}

async fn push(site: &Site, layout: &Layout) -> Result<(Vec<OwnImage>, usize), ClusterError> {
    let registry = site.registry();
    let (mut images, mut moved) = (Vec::new(), 0);
    for component in OWN {
        let reference = own_repository(&site.cluster.registry, component).parse()?;
        let image = layout.image(&format!("lab/{component}"))?;
        let pushed = registry.push_image(layout, &image, &reference).await?;
        moved += pushed.blobs;
        images.push(OwnImage {
            component: component.name(),
            repository: own_repository(&site.cluster.pulled_from, component),
            digest: pushed.digest,
        });
    }
    Ok((images, moved))
}

/// The repository of one of the lab's own images, below a registry's address.
fn own_repository(registry: &str, component: Component) -> String {
    format!("{registry}/lab/{component}")
}

async fn mirrors(site: &Site, manifests: &Path) -> Result<(), ClusterError> {
    let containers =
        super::kind_cluster::Containers::of(ContainerEngine::find().await?, &site.file);
    let registries: BTreeSet<String> = images::by_directory(manifests)
        .await?
        .into_iter()
        .flat_map(|(_, images)| images)
        .map(|image| image.registry().to_owned())
        .filter(|registry| *registry != site.cluster.pulled_from)
        .collect();
    mirror(
        &containers.engine,
        &containers.cluster.node(),
        &registries,
        &site.cluster.pulled_from,
    )
    .await
}

async fn apply_source(site: &Site, source: &Source) -> Result<bool, ClusterError> {
    let secret = source.secret();
    let api: kube::Api<Secret> = site.kube.beside(Component::Argocd);
    let name = secret.metadata.name.clone().unwrap_or_default();
    let action = "apply the Secret of Argo CD's source";
    let before = api
        .get_metadata_opt(&name)
        .await
        .map_err(ClusterError::kubernetes(action))?
        .and_then(|object| object.metadata.resource_version);
    let after = api
        .patch(
            &name,
            &PatchParams::apply(FIELD_MANAGER).force(),
            &Patch::Apply(&secret),
        )
        .await
        .map_err(ClusterError::kubernetes(action))?;
    Ok(before != after.metadata.resource_version)
}
