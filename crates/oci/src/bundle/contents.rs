//! What goes into a bundle: everything that its images consist of, each blob once, in an order that follows from their names.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    annotation,
    create::{LocalImage, Recipe},
};
use crate::{
    Digest, ImageSource, OciError, Reference, Registry,
    manifest::{Descriptor, Index, REF_NAME},
    registry::{QUESTIONS, side_by_side},
};

/// Where a blob comes from.
pub(super) enum Origin {
    Registry(Reference),
    Here(Arc<dyn ImageSource>),
}

/// The list, the manifests and the blobs, in the order in which they stand in the file.
pub(super) struct Contents {
    pub(super) index: Index,
    pub(super) manifests: Vec<(Digest, Vec<u8>)>,
    pub(super) blobs: Vec<(Descriptor, Origin)>,
}

impl Contents {
    /// Reads the manifests.
    ///
    /// # Errors
    /// As [`Registry::pull_image`], and those of the images of this machine.
    pub(super) async fn look_up(registry: &Registry, recipe: &Recipe) -> Result<Self, OciError> {
        let remote = recipe
            .remote
            .iter()
            .map(|reference| registry.parts(reference, recipe.platform.as_ref()));
        let remote = side_by_side(remote, QUESTIONS).await?;
        let mut images = Vec::new();
        for (reference, parts) in recipe.remote.iter().zip(remote) {
            images.push((reference.to_string(), parts, Image::Remote(reference)));
        }
        for image in &recipe.local {
            let parts = image.source.parts(&image.descriptor)?;
            images.push((image.name.clone(), parts, Image::Local(image)));
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
        for (name, parts, image) in images {
            let blobs: Vec<Descriptor> = parts.unique_blobs().cloned().collect();
            let listed = parts.manifests.last().map(|(image, _)| image.clone());
            for (manifest, content) in parts.manifests {
                if seen.insert(manifest.digest) {
                    contents.manifests.push((manifest.digest, content));
                }
            }
            for blob in blobs {
                if seen.insert(blob.digest) {
                    contents.blobs.push((blob, image.origin()));
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
enum Image<'a> {
    Remote(&'a Reference),
    Local(&'a LocalImage),
}

impl Image<'_> {
    fn origin(self) -> Origin {
        match self {
            Self::Remote(reference) => Origin::Registry(reference.clone()),
            Self::Local(image) => Origin::Here(Arc::clone(&image.source)),
        }
    }
}
