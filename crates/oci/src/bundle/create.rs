//! Making a bundle: blobs come from registries into a cache, several at a time, and go into the file as they are there.

use std::{collections::BTreeSet, path::Path, pin::pin, sync::Arc};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::{Bundle, annotation, writer::BundleWriter};
use crate::{
    Digest, ImageSource, Layout, Meter, OciError, Reference, Registry,
    manifest::{Descriptor, Index, Platform, REF_NAME},
    registry::{PARALLEL, QUESTIONS, blocking, side_by_side},
};

/// What goes into a bundle.
#[derive(Clone)]
pub struct Recipe {
    /// Images of registries, each listed as it is written here.
    pub remote: BTreeSet<Reference>,
    /// Images of this machine.
    pub local: Vec<LocalImage>,
    /// The platform to take of each index; all without one.
    pub platform: Option<Platform>,
}

/// An image or artifact of this machine.
#[derive(Clone)]
pub struct LocalImage {
    /// The name by which it is listed.
    pub name: String,
    /// Where it lies.
    pub source: Arc<dyn ImageSource>,
    /// Its manifest.
    pub descriptor: Descriptor,
}

impl Bundle {
    /// Makes a bundle at `target`. What comes from registries stays in `cache`, so that an interrupted run is gone on with
    /// and a second one fetches nothing. The same images give the same bytes. Returns the digest of the bundle's list.
    ///
    /// # Errors
    /// As [`Registry::pull_image`]; [`OciError::File`] for what cannot be written. Nothing is left at `target` then that was
    /// not there before.
    pub async fn create(
        registry: &Registry,
        recipe: &Recipe,
        cache: &Layout,
        target: &Path,
        meter: &Meter,
    ) -> Result<Digest, OciError> {
        let contents = Contents::look_up(registry, recipe).await?;
        // All of it, before the first comes.
        meter.expect(contents.blobs.iter().map(|(blob, _)| blob.size).sum());
        // Before anything is fetched: a file that cannot be written is told at once.
        let (writer, digest) = {
            let (index, target) = (contents.index, target.to_owned());
            blocking(move || BundleWriter::create(&target, &index)).await?
        };
        let (sender, receiver) = mpsc::channel(PARALLEL);
        let writer = {
            let (manifests, blobs) = (contents.manifests, contents.blobs.len());
            blocking(move || write(writer, &manifests, blobs, receiver))
        };
        let fetcher = async {
            let mut fetches = stream::iter(contents.blobs)
                .map(|(blob, place)| {
                    let (registry, cache, meter) = (registry.clone(), cache.clone(), meter.clone());
                    let fetch = async move { place.fetch(registry, blob, cache, &meter).await };
                    // On all cores: what comes is digested.
                    let fetch = AbortOnDropHandle::new(tokio::spawn(fetch));
                    async {
                        fetch
                            .await
                            .unwrap_or_else(|end| std::panic::resume_unwind(end.into_panic()))
                    }
                })
                .buffered(PARALLEL);
            while let Some(blob) = fetches.try_next().await? {
                if sender.send(blob).await.is_err() {
                    // The writer has ended, and says why.
                    break;
                }
            }
            drop(sender);
            Ok(())
        };
        let mut writer = pin!(writer);
        tokio::select! {
            // It has all, or it failed: then what is on its way is of no use.
            written = &mut writer => written?,
            fetched = fetcher => {
                let written = writer.await;
                fetched.and(written)?;
            }
        }
        Ok(digest)
    }
}

/// Where a blob comes from.
enum Place {
    Registry(Reference),
    Here(Arc<dyn ImageSource>),
}

impl Place {
    async fn fetch(
        self,
        registry: Registry,
        blob: Descriptor,
        cache: Layout,
        meter: &Meter,
    ) -> Result<Fetched, OciError> {
        match self {
            Self::Here(source) => {
                meter.add(blob.size);
                Ok(Fetched {
                    blob,
                    source,
                    cache: None,
                })
            }
            Self::Registry(reference) => {
                registry.fetch(&reference, &blob, &cache, meter).await?;
                Ok(Fetched {
                    blob,
                    source: Arc::new(cache.clone()),
                    cache: Some(cache),
                })
            }
        }
    }
}

/// A blob that can be read.
struct Fetched {
    blob: Descriptor,
    source: Arc<dyn ImageSource>,
    /// Where it was kept, if it can be had again.
    cache: Option<Layout>,
}

/// All that a bundle will hold, in the order in which it is written.
struct Contents {
    index: Index,
    manifests: Vec<(Digest, Vec<u8>)>,
    blobs: Vec<(Descriptor, Place)>,
}

impl Contents {
    async fn look_up(registry: &Registry, recipe: &Recipe) -> Result<Self, OciError> {
        let remote = recipe
            .remote
            .iter()
            .map(|reference| registry.parts(reference, recipe.platform.as_ref()));
        let remote = side_by_side(remote, QUESTIONS).await?;
        let mut images = Vec::new();
        for (reference, parts) in recipe.remote.iter().zip(remote) {
            images.push((reference.to_string(), parts, Origin::Remote(reference)));
        }
        for image in &recipe.local {
            let parts = image.source.parts(&image.descriptor)?;
            images.push((image.name.clone(), parts, Origin::Local(image)));
        }
        // The order in which they were asked for must not be in the bytes.
        images.sort_by(|(one, ..), (other, ..)| one.cmp(other));

        let mut contents = Self {
            index: Index::new(Vec::new()),
            manifests: Vec::new(),
            blobs: Vec::new(),
        };
        contents.index.annotations = annotation(recipe.platform.as_ref()).collect();
        let mut seen = BTreeSet::new();
        for (name, parts, origin) in images {
            let blobs: Vec<Descriptor> = parts.unique_blobs().cloned().collect();
            let listed = parts.manifests.last().map(|(image, _)| image.clone());
            for (manifest, content) in parts.manifests {
                if seen.insert(manifest.digest) {
                    contents.manifests.push((manifest.digest, content));
                }
            }
            for blob in blobs {
                if seen.insert(blob.digest) {
                    contents.blobs.push((blob, origin.place()));
                }
            }
            if let Some(mut image) = listed {
                image.annotations = [(REF_NAME.to_owned(), name)].into();
                contents.index.manifests.push(image);
            }
        }
        Ok(contents)
    }
}

#[derive(Clone, Copy)]
enum Origin<'a> {
    Remote(&'a Reference),
    Local(&'a LocalImage),
}

impl Origin<'_> {
    fn place(self) -> Place {
        match self {
            Self::Remote(reference) => Place::Registry(reference.clone()),
            Self::Local(image) => Place::Here(Arc::clone(&image.source)),
        }
    }
}

/// Writes the file as blobs come. Without all of them there is none.
fn write(
    mut writer: BundleWriter,
    manifests: &[(Digest, Vec<u8>)],
    blobs: usize,
    mut fetched: mpsc::Receiver<Fetched>,
) -> Result<(), OciError> {
    for (digest, content) in manifests {
        writer.content(digest, content)?;
    }
    let mut written = 0;
    while let Some(next) = fetched.blocking_recv() {
        if let Err(error) = writer.blob(&*next.source, &next.blob) {
            if let (OciError::Mismatch { .. }, Some(cache)) = (&error, &next.cache) {
                // It was whole when it was kept: its storage has damaged it, and the next run fetches it anew.
                cache.remove(&next.blob.digest)?;
            }
            return Err(error);
        }
        written += 1;
    }
    if written < blobs {
        return Err(OciError::malformed(
            writer.target().display().to_string(),
            format!("only {written} of its {blobs} blobs came"),
        ));
    }
    writer.finish()
}
