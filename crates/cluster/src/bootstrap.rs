//! `bootstrap` on Kubernetes: from whatever state the lab is in to one that Argo CD keeps at the digest of its manifests.
//!
//! Each step looks before it acts: a second run changes nothing, a run after a crash goes on from there.

mod gitops;
mod given_cluster;
mod kind_cluster;
mod steps;

use std::{path::Path, sync::Arc, time::Duration};

use anstream::{eprintln, print};
use blueprint::Component;
use lab::Engine;
use oci::{Bundle, Meter, manifest::Platform};
use terminal::{
    Setting,
    cli::{self, EngineKind},
    failure::{Exit, Failure},
    in_own_words, verification,
};
use tokio::time::Instant;

pub(crate) use self::gitops::push_images;
pub(crate) use self::kind_cluster::Containers;
use self::steps::{Did, Steps};
use crate::{ClusterEngine, ClusterError, Site, argocd, bundle, commands, images, workloads};

/// Marks the root Application of a lab whose Loki has stored its first delete request.
const DELETE_REQUEST: &str = "lab/delete-request";

/// Runs the command.
///
/// # Errors
/// What the step says that failed; the lab is left as that step found it, and the next run goes on from there.
pub async fn run(setting: &Setting, arguments: cli::Bootstrap) -> anyhow::Result<Exit> {
    let bootstrap = async {
        let site = bring_up(setting, &arguments).await?;
        let report = commands::status::report(&site).await?;
        print!("{}", report.to_table());
        let engine = ClusterEngine::of(site).await?;
        Ok(verification::prove_all(&engine).await)
    };
    tokio::select! {
        result = bootstrap => result,
        _ = tokio::signal::ctrl_c() => {
            eprintln!(
                "{}",
                in_own_words(
                    "Interrupted. What was made stays: `cargo xtask status` shows it, `cargo xtask bootstrap` goes on \
                     from there, `cargo xtask down` removes it."
                )
            );
            Ok(Exit::Interrupted)
        }
    }
}

async fn bring_up(setting: &Setting, arguments: &cli::Bootstrap) -> anyhow::Result<Site> {
    let started = Instant::now();
    let _change = setting.lab.lock_for_change()?;
    let mut steps = Steps::default();
    let bundle = match &arguments.bundle {
        Some(path) => Some(open(path)?),
        None => None,
    };
    let is_given = is_given(setting, arguments)?;
    if let Some(bundle) = &bundle {
        let registry = if is_given {
            given_cluster::registry(setting, &arguments.cluster)?
        } else {
            kind_cluster::pulled_from(&setting.lab)
        };
        steps
            .run("bundle", "unpacking its manifests", async {
                let done = bundle::unpack(bundle, &setting.lab, &registry)?;
                let line = bundle.digest().to_string();
                let did = if done {
                    Did::Something(line)
                } else {
                    Did::Nothing(line)
                };
                Ok::<_, ClusterError>(((), did))
            })
            .await?;
    }
    let setting = &bundle::setting_of(setting);
    let manifests = setting.root.join("manifests");
    let cache = setting.lab.directory().join("cache");
    // Before anything is made: it may have to be fetched, and a machine without a network learns it now.
    let installation = steps
        .run("argo cd's manifest", "looking for the pinned one", async {
            let file = argocd::installation(&manifests, &cache).await?;
            let did = Did::Nothing("at hand".to_owned());
            Ok::<_, ClusterError>((file, did))
        })
        .await?;
    // The programs of the images are compiled while the cluster starts.
    let output = setting.lab.directory().join("images");
    let layout = images::build(setting, &output);
    let (site, layout) = if is_given {
        tokio::try_join!(
            given_cluster::take(setting, &arguments.cluster, &mut steps),
            async { Ok(layout.await?) }
        )?
    } else {
        let kind = kind_cluster::bring_up(setting, bundle.as_ref(), &mut steps);
        tokio::try_join!(kind, async { Ok(layout.await?) })?
    };
    if let Some(bundle) = &bundle {
        load(&site, bundle, &mut steps).await?;
    }
    gitops::bring_up(
        &site,
        &layout,
        &installation,
        &arguments.cluster,
        &mut steps,
    )
    .await?;
    if !argocd::is_marked(&site.kube, DELETE_REQUEST).await? {
        steps
            .run(
                "delete request",
                "having Loki store one",
                store_delete_request(&site),
            )
            .await?;
    }
    if arguments.timings {
        print!("{}", steps.chart());
    }
    let took = started.elapsed();
    eprintln!("{}", summary(setting, &steps, took));
    Ok(site)
}

/// Opens a bundle that this machine can use.
fn open(path: &Path) -> anyhow::Result<Arc<Bundle>> {
    let bundle = Bundle::open(path).map_err(ClusterError::from)?;
    let host = Platform::host();
    if let Some(platform) = bundle.platform()
        && !platform
            .parse::<Platform>()
            .is_ok_and(|platform| platform.satisfies(&host))
    {
        return Err(Failure::new(
            Exit::Missing,
            format!(
                "{} is for {platform}, this machine is {host}",
                path.display()
            ),
        )
        .hint(format!(
            "make one with `cargo xtask bundle create --platform {host}`"
        ))
        .into());
    }
    Ok(Arc::new(bundle))
}

/// Fills the lab's registry with what the cluster runs.
async fn load(site: &Site, bundle: &Arc<Bundle>, steps: &mut Steps) -> Result<(), ClusterError> {
    let beside = bundle::of_engine(bundle, &site.manifests)?;
    let mut images = Vec::new();
    for placed in bundle::placed(bundle, |name| !bundle::is_own(name))? {
        if !beside.contains(&placed.name) {
            images.push((placed.image.clone(), placed.below(&site.cluster.registry)?));
        }
    }
    let (registry, meter) = (site.registry(), Meter::default());
    let loading = async {
        let moved = bundle.load(&registry, &images, &meter).await?;
        let blobs = moved.iter().map(|moved| moved.blobs).sum();
        Ok::<_, ClusterError>(((), Did::count(blobs, "layers pushed")))
    };
    let bytes = || (meter.done(), meter.total());
    steps.transfer("the bundle's images", bytes, loading).await
}

/// Whether the lab lives, or shall live, on a cluster that was there before.
fn is_given(setting: &Setting, arguments: &cli::Bootstrap) -> anyhow::Result<bool> {
    Ok(match arguments.engine {
        Some(kind) => kind == EngineKind::Cluster,
        None => {
            let file = setting.lab.load()?;
            file.is_some_and(|file| matches!(file.engine, Engine::Cluster(_)))
        }
    })
}

/// Loki uploads its delete requests every five minutes and when it stops. One request and one orderly restart put the
/// first of them into its bucket, so that the first verification of a lab need not wait that long for it.
async fn store_delete_request(site: &Site) -> Result<((), Did), ClusterError> {
    let engine = ClusterEngine::of(site.clone()).await?;
    verify::leave_delete_request(&engine)
        .await
        .map_err(|reason| ClusterError::malformed("Loki's answer to a delete request", reason))?;
    workloads::restart(&site.kube, Component::Loki).await?;
    argocd::mark(&site.kube, DELETE_REQUEST).await?;
    Ok(((), Did::Something("stored".to_owned())))
}

fn summary(setting: &Setting, steps: &Steps, took: Duration) -> String {
    let (name, seconds) = (setting.lab.name(), took.as_secs_f64());
    if steps.changed_nothing() {
        format!("The lab `{name}` is up; nothing changed ({seconds:.1} s).")
    } else {
        format!("The lab `{name}` is up after {seconds:.1} s.")
    }
}
