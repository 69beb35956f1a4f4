//! `bundle create` and `bundle load` as a program of its own, so that they are measured as the others are: the bench starts
//! itself with [`COMMAND`].

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use anyhow::{Context as _, bail};
use oci::{
    Bundle, BundleRecipe, ImageSource as _, LocalImage, Meter, Reference, Registry, Settings,
};

use crate::images::{Images, reference};

/// The first argument of a bench that is to move images. A task, its two places and the images' names follow.
pub(crate) const COMMAND: &str = "ours";

/// The bundle in the directory that `bundle create` is given.
pub(crate) const BUNDLE: &str = "bundle.tar.zst";

/// Moves images.
pub(crate) async fn run(arguments: Vec<String>) -> anyhow::Result<()> {
    let [task, from, to, names @ ..] = &arguments[..] else {
        bail!("a task, its source, its destination and names are expected");
    };
    match task.as_str() {
        "create" => create(from, Path::new(to), names).await,
        "load" => load(Path::new(from), to).await,
        "copy" => {
            let between = tempfile::tempdir().context("cannot make a directory")?;
            create(from, between.path(), names).await?;
            load(&between.path().join(BUNDLE), to).await
        }
        other => bail!("there is no task {other}"),
    }
}

/// A bundle of the images, which [`Images`] holds in a layout.
pub(crate) async fn pack(images: &Images, target: &Path) -> anyhow::Result<()> {
    let mut local = Vec::new();
    for name in images.names.keys() {
        local.push(LocalImage {
            name: reference("docker.io", name)?.to_string(),
            source: Arc::new(images.layout.clone()),
            descriptor: images.layout.image(name)?,
        });
    }
    bundle(BTreeSet::new(), local, target).await
}

async fn create(registry: &str, root: &Path, names: &[String]) -> anyhow::Result<()> {
    fs::create_dir_all(root).context("cannot make the bundle's directory")?;
    let remote = names.iter().map(|name| reference(registry, name));
    let remote = remote.collect::<anyhow::Result<BTreeSet<Reference>>>()?;
    bundle(remote, Vec::new(), &root.join(BUNDLE)).await
}

async fn bundle(
    remote: BTreeSet<Reference>,
    local: Vec<LocalImage>,
    target: &Path,
) -> anyhow::Result<()> {
    let recipe = BundleRecipe {
        remote,
        local,
        platform: None,
    };
    let registry = Registry::new(Settings::default());
    Bundle::create(&registry, &recipe, target, &Meter::default()).await?;
    Ok(())
}

async fn load(bundle: &Path, registry: &str) -> anyhow::Result<()> {
    let bundle = Arc::new(Bundle::open(bundle)?);
    let mut images = Vec::new();
    for image in bundle.images()? {
        let name: Reference = image.name.unwrap_or_default().parse()?;
        let name = name.repository().rsplit('/').next().unwrap_or_default();
        images.push((image.descriptor, reference(registry, name)?));
    }
    let client = Registry::new(Settings::default());
    bundle.load(&client, &images, &Meter::default()).await?;
    Ok(())
}
