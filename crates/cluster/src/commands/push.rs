//! `push`: publish the manifests and move the lab to them, or back to a digest that was published before.

use anstream::{eprintln, println};
use oci::{Digest, OciError, Reference};
use terminal::{
    Setting, cli,
    failure::{Exit, Failure},
    invocation,
};

use crate::{ClusterError, Site, Staged, argocd, bootstrap, images};

/// Runs the command: prints the digest, then waits until Argo CD has brought everything there.
///
/// # Errors
/// When the registry does not have the digest that was asked for, the API server refuses, or an Application does not become
/// healthy.
pub async fn run(setting: &Setting, site: &Site, arguments: cli::Push) -> anyhow::Result<Exit> {
    let _change = setting.lab.lock_for_change()?;
    let before = argocd::desired(&site.kube).await?;
    let digest = match &arguments.to {
        Some(digest) => known(site, digest).await?,
        None => publish(setting, site).await?,
    };
    println!("{digest}");
    if let Some(before) = before
        .as_ref()
        .filter(|before| before.revision != digest.to_string())
    {
        eprintln!("Back again: {} push --to {}", invocation(), before.revision);
    }
    let wanted = site.source().at(digest.to_string());
    let root = argocd::root(&site.manifests, &wanted, site.apps())?;
    argocd::move_to(&site.kube, &root).await?;
    argocd::until_healthy(&site.kube, &wanted.revision).await?;
    Ok(Exit::Holds)
}

async fn publish(setting: &Setting, site: &Site) -> Result<Digest, ClusterError> {
    let layout = images::build(setting, &setting.lab.directory().join("images")).await?;
    let own = bootstrap::push_images(site, &layout).await?;
    let artifact = Staged::new(&site.manifests, &own, &site.changes())?.pack()?;
    let moved = site
        .registry()
        .push_artifact(&artifact, &site.artifact()?)
        .await?;
    Ok(moved.digest)
}

/// The digest, once the registry has said that it has it.
async fn known(site: &Site, digest: &str) -> anyhow::Result<Digest> {
    let parsed: Digest = digest.parse().map_err(|error: OciError| {
        Failure::new(Exit::Unexpected, error.to_string())
            .hint("push prints digests; `cargo xtask status` shows the one that the lab is at")
    })?;
    let reference: Reference = site.artifact()?;
    let resolved = site.registry().resolve(&reference.by_digest(parsed)).await;
    resolved.map_err(|error| match error {
        OciError::NotFound { .. } => Failure::new(Exit::Missing, error.to_string())
            .hint("a lab moves to what was pushed to its own registry: each push prints its digest")
            .into(),
        error => ClusterError::from(error).into(),
    })
}
