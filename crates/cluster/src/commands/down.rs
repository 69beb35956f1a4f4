//! `down`: take the lab away, and prove that nothing of it is left.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use anstream::eprintln;
use kube::{
    ResourceExt as _,
    api::{DeleteParams, DynamicObject, PropagationPolicy},
};
use lab::{Engine, LabFile};
use terminal::{Setting, cli, failure::Exit};
use tokio::time::{Instant, sleep};

use crate::{
    ClusterError, Kube, Site, Staged, argocd,
    bootstrap::Containers,
    kind::ContainerEngine,
    kustomize,
    objects::{Applier, shown},
    site::kubeconfig,
};

/// How long Argo CD may take to delete what it applied.
const CASCADE: Duration = Duration::from_secs(300);

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

/// How long a port is tried.
const CONNECT: Duration = Duration::from_millis(100);

/// Runs the command.
///
/// # Errors
/// [`ClusterError::LeftBehind`] when something of the lab is still there, and what the engine or the cluster refuse.
pub async fn run(setting: &Setting, arguments: cli::Down) -> anyhow::Result<Exit> {
    let change = setting.lab.lock_for_change()?;
    let Some(file) = setting.lab.load()? else {
        eprintln!("There is no lab `{}`.", setting.lab.name());
        return Ok(Exit::Holds);
    };
    match &file.engine {
        Engine::Kind(_) => remove_kind(setting, &file).await?,
        _ => remove_objects(&Site::open(setting).await?).await?,
    }
    if arguments.purge {
        setting.lab.purge()?;
        eprintln!("Removed {}.", setting.lab.directory().display());
    }
    drop(change);
    Ok(Exit::Holds)
}

/// Everything that carries the lab's label on this machine.
async fn remove_kind(setting: &Setting, file: &LabFile) -> Result<(), ClusterError> {
    let containers = Containers::of(ContainerEngine::find().await?, file);
    let Containers {
        engine,
        labels,
        cluster,
        ..
    } = &containers;
    let kubeconfig = kubeconfig(&setting.lab);
    if kubeconfig.exists() {
        fs::remove_file(&kubeconfig).map_err(lab::LabError::file("remove", &kubeconfig))?;
    }
    if cluster.exists().await? {
        cluster.delete().await?;
        eprintln!("Deleted the cluster {}.", cluster.name);
    }
    // Containers first: a network and a volume that are in use stay.
    for (kind, name) in engine.labelled(labels).await? {
        engine.remove(kind, &name).await?;
        eprintln!("Removed the {kind} {name}.");
    }
    let mut left: Vec<String> = engine
        .labelled(labels)
        .await?
        .into_iter()
        .map(|(kind, name)| format!("{kind} {name}"))
        .collect();
    if cluster.exists().await? {
        left.push(format!("cluster {}", cluster.name));
    }
    left.extend(context_left(&cluster.context()));
    left.extend(ports_left(file));
    if !left.is_empty() {
        return Err(ClusterError::LeftBehind { left });
    }
    eprintln!(
        "Nothing of the lab `{}` is left: no container, network, volume, kubeconfig entry or port.",
        setting.lab.name()
    );
    Ok(())
}

/// The entry that kind made in the user's kubeconfig.
fn context_left(context: &str) -> Option<String> {
    let config = kube::config::Kubeconfig::read().ok()?;
    config
        .contexts
        .iter()
        .any(|entry| entry.name == context)
        .then(|| format!("context {context} in the kubeconfig"))
}

fn ports_left(file: &LabFile) -> Vec<String> {
    file.ports
        .iter()
        .filter(|(_, port)| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, **port));
            TcpStream::connect_timeout(&address, CONNECT).is_ok()
        })
        .map(|(owner, port)| format!("a listener on port {port} ({owner})"))
        .collect()
}

/// What the lab made on a cluster that was there before: first what Argo CD applied, through Argo CD, then Argo CD.
async fn remove_objects(site: &Site) -> Result<(), ClusterError> {
    let applications = argocd::list(&site.kube).await.unwrap_or_default();
    for application in &applications {
        let status = application.status.clone().unwrap_or_default();
        eprintln!("Application {}:", application.name_any());
        for resource in status.resources {
            eprintln!("  {resource}");
        }
    }
    delete_root(&site.kube).await?;
    let installation =
        argocd::installation(&site.manifests, &site.lab.directory().join("cache")).await?;
    let staged =
        Staged::new(&site.manifests, &[], &site.changes())?.with_installation(&installation)?;
    let left = delete_own(site, &staged.manifests()).await?;
    if !left.is_empty() {
        return Err(ClusterError::LeftBehind { left });
    }
    eprintln!(
        "Nothing of the lab `{}` is left on {}.",
        site.lab.name(),
        site.cluster.context
    );
    Ok(())
}

/// The root's finalizer has Argo CD delete the Applications, and theirs what they applied.
async fn delete_root(kube: &Kube) -> Result<(), ClusterError> {
    let api = argocd::api(kube);
    let action = "delete the root Application";
    let started = Instant::now();
    match api.delete("root", &DeleteParams::default()).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
        Err(error) => return Err(ClusterError::kubernetes(action)(error)),
    }
    while api
        .get_opt("root")
        .await
        .map_err(ClusterError::kubernetes(action))?
        .is_some()
    {
        if started.elapsed() >= CASCADE {
            let left = argocd::list(kube).await?;
            let names: Vec<_> = left.iter().map(|left| left.name_any()).collect();
            return Err(ClusterError::GaveUp {
                what: "the root Application is not deleted".to_owned(),
                waited: CASCADE,
                why: format!("Argo CD still has {}", names.join(", ")),
            });
        }
        sleep(INTERVAL).await;
    }
    Ok(())
}

/// Deletes Argo CD and the namespaces, those objects that carry the lab's label or came with Argo CD; returns what stays.
async fn delete_own(site: &Site, manifests: &Path) -> Result<Vec<String>, ClusterError> {
    let mut objects = kustomize::build(&manifests.join(site.argocd())).await?;
    objects.extend(kustomize::build(&manifests.join("namespaces")).await?);
    let mut applier = Applier::new(site.kube.client.clone());
    let mut deleted: Vec<DynamicObject> = Vec::new();
    // In the opposite order of applying: definitions and namespaces last.
    for object in objects.iter().rev() {
        // What lives in a namespace of the lab goes with it.
        if object.namespace().is_some() {
            continue;
        }
        let Ok(api) = applier.api(object).await else {
            // A kind that is not served any more has no objects.
            continue;
        };
        let action = format!("delete {}", shown(object));
        let parameters = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Foreground),
            ..DeleteParams::default()
        };
        match api.delete(&object.name_any(), &parameters).await {
            Ok(_) => {
                eprintln!("Deleting {}.", shown(object));
                deleted.push(object.clone());
            }
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(ClusterError::kubernetes(action)(error)),
        }
    }
    let started = Instant::now();
    loop {
        let mut left = Vec::new();
        for object in &deleted {
            let Ok(api) = applier.api(object).await else {
                continue;
            };
            let found = api.get_metadata_opt(&object.name_any()).await;
            if found
                .map_err(ClusterError::kubernetes("see what is left"))?
                .is_some()
            {
                left.push(shown(object));
            }
        }
        if left.is_empty() || started.elapsed() >= CASCADE {
            return Ok(left);
        }
        sleep(INTERVAL).await;
    }
}
