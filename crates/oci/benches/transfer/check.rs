//! Whether a run has moved what it should: every digest, and every byte behind it.

use std::{collections::BTreeSet, fs::File, io::Read as _, path::Path};

use anyhow::{Context as _, ensure};
use oci::{Bundle, Digest, Hasher, ImageSource as _, Layout, Meter, Registry, Settings};

use crate::{
    images::{Images, reference},
    server::Server,
};

/// A layout that images were pulled into.
pub(crate) fn layout(images: &Images, root: &Path) -> anyhow::Result<()> {
    let layout = Layout::open(root)?;
    let found = layout.images()?;
    let found: BTreeSet<Digest> = found.iter().map(|image| image.descriptor.digest).collect();
    ensure!(
        found == images.names.values().copied().collect(),
        "the layout lists other images"
    );
    for digest in &images.blobs {
        hash(&root.join("blobs/sha256").join(digest.hex()), *digest)?;
    }
    Ok(())
}

/// A bundle that was made of images.
pub(crate) fn bundle(images: &Images, path: &Path) -> anyhow::Result<()> {
    let bundle = Bundle::open(path)?;
    let found = bundle.images()?;
    let found: BTreeSet<Digest> = found.iter().map(|image| image.descriptor.digest).collect();
    ensure!(
        found == images.names.values().copied().collect(),
        "the bundle lists other images"
    );
    bundle.verify_except(&BTreeSet::new(), &Meter::default())?;
    Ok(())
}

/// A registry that images were pushed to.
pub(crate) async fn registry(images: &Images, server: &Server) -> anyhow::Result<()> {
    let client = Registry::new(Settings::default());
    for (name, digest) in &images.names {
        let found = client.resolve(&reference(server.address(), name)?).await?;
        ensure!(found == *digest, "{name} is {found}, not {digest}");
    }
    for digest in &images.blobs {
        hash(&server.blob(*digest), *digest)?;
    }
    Ok(())
}

fn hash(path: &Path, expected: Digest) -> anyhow::Result<()> {
    let unread = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(unread)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).with_context(unread)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    let found = hasher.finish();
    ensure!(found == expected, "{} is {found}", path.display());
    Ok(())
}
