//! Filling a registry from a bundle.

use std::sync::Arc;

use super::Bundle;
use crate::{
    ImageSource as _, Meter, Moved, NamedImage, OciError, Reference, Registry,
    manifest::Descriptor, registry::blocking,
};

impl Bundle {
    /// What a registry is given of an image: an index of which all is there, else the one manifest of it that is there.
    /// Registries refuse an index of which they do not have all.
    ///
    /// # Errors
    /// As [`crate::ImageSource::parts`].
    pub fn loaded(&self, image: &NamedImage) -> Result<Descriptor, OciError> {
        let parts = self.parts(&image.descriptor)?;
        if parts.is_whole {
            return Ok(image.descriptor.clone());
        }
        let mut manifests = parts.manifests.into_iter().map(|(manifest, _)| manifest);
        manifests.next().ok_or_else(|| {
            OciError::malformed(image.descriptor.digest.to_string(), "it has no manifest")
        })
    }

    /// Pushes images of the bundle, as [`Bundle::loaded`] gives them, each to its place. All of the bundle is read and
    /// checked before the first image gets its name there.
    ///
    /// # Errors
    /// As [`Registry::push_image`], and for any part of the bundle that is damaged.
    pub async fn load(
        self: &Arc<Self>,
        registry: &Registry,
        images: &[(Descriptor, Reference)],
        meter: &Meter,
    ) -> Result<Vec<Moved>, OciError> {
        let mut pushes = registry.begin(&**self, images).await?;
        let read = pushes.blobs(meter).await?;
        let (bundle, meter) = (Arc::clone(self), meter.clone());
        blocking(move || bundle.verify_except(&read, &meter)).await?;
        pushes.manifests().await
    }
}
