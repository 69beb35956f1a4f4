//! This crate as a program of its own, so that it is measured as the others are: the bench starts itself with [`COMMAND`].

use std::path::Path;

use anyhow::{Context as _, bail};
use oci::{ImageSource as _, Layout, Registry, Settings};

use crate::images::reference;

/// The first argument of a bench that is to move images. A task, its two places and the images' names follow.
pub(crate) const COMMAND: &str = "ours";

/// Moves images.
pub(crate) async fn run(arguments: Vec<String>) -> anyhow::Result<()> {
    let [task, from, to, names @ ..] = &arguments[..] else {
        bail!("a task, its source, its destination and names are expected");
    };
    match task.as_str() {
        "pull" => pull(from, Path::new(to), names).await,
        "push" => push(Path::new(from), to, names).await,
        "copy" => {
            let between = tempfile::tempdir().context("cannot make a directory")?;
            pull(from, between.path(), names).await?;
            push(between.path(), to, names).await
        }
        other => bail!("there is no task {other}"),
    }
}

async fn pull(registry: &str, root: &Path, names: &[String]) -> anyhow::Result<()> {
    let (client, layout) = (Registry::new(Settings::default()), Layout::create(root)?);
    for name in names {
        let reference = reference(registry, name)?;
        client.pull_image(&reference, &layout, None).await?;
        let image = layout.image(&reference.to_string())?;
        layout.set_image(name, image)?;
    }
    Ok(())
}

async fn push(root: &Path, registry: &str, names: &[String]) -> anyhow::Result<()> {
    let (client, layout) = (Registry::new(Settings::default()), Layout::open(root)?);
    for name in names {
        let image = layout.image(name)?;
        let reference = reference(registry, name)?;
        client.push_image(&layout, &image, &reference).await?;
    }
    Ok(())
}
