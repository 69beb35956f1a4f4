//! One file with images: an OCI image layout as a tar archive in zstd's format, readable and writable from its middle.
//!
//! Each member of the archive begins a zstd frame of its own, and the file ends with the table of its frames in the seekable
//! format of zstd (its `contrib/seekable_format`), so that any blob is read without the ones before it. To other programs it
//! is a common `.tar.zst` with a layout in it. The frames hold their content as it is: layers are compressed before they come.
//! What is written depends on the images alone, not on this machine or time, nor on a version of zstd.
//!
//! What is read is checked: a blob by its digest, what is between blobs by being what the writer writes there, and all of it
//! by checksums that stand before the table.

mod blocks;
mod checksums;
mod contents;
mod create;
mod load;
mod member;
mod members;
mod plan;
mod slot;
mod unfinished;

use std::{
    collections::BTreeSet,
    io::Read as _,
    path::{Path, PathBuf},
};

pub use create::{LocalImage, Recipe};
use members::Members;

use crate::{
    BlobReader, Digest, ImageSource, Meter, NamedImage, OciError,
    layout::MARKER,
    manifest::{Descriptor, Index, MAX_MANIFEST_BYTES, Platform, parse},
};

/// The annotation of the list that says which platform the images are for; without it they are for all that they know.
const PLATFORM: &str = "lab.bundle.platform";

/// A bundle that can be read.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    members: Members,
    index: Index,
    digest: Digest,
}

impl Bundle {
    /// Opens a bundle: reads its list and all manifests, and sees that every blob is there.
    ///
    /// # Errors
    /// [`OciError::Malformed`] for what is no bundle, is cut short or lacks a blob; [`OciError::File`].
    pub fn open(path: &Path) -> Result<Self, OciError> {
        let members = Members::scan(path)?;
        let small = |name: &str| -> Result<Vec<u8>, OciError> {
            let reader = members.file(name)?;
            let mut bytes = Vec::new();
            reader
                .take(MAX_MANIFEST_BYTES)
                .read_to_end(&mut bytes)
                .map_err(|error| OciError::content(&members.name(name), error))?;
            Ok(bytes)
        };
        if small("oci-layout")? != MARKER {
            return Err(OciError::malformed(
                members.name("oci-layout"),
                "it is not the one of an OCI image layout 1.0.0",
            ));
        }
        let list = small("index.json")?;
        let bundle = Self {
            path: path.to_owned(),
            index: parse(&members.name("index.json"), &list)?,
            digest: Digest::of(&list),
            members,
        };
        let mut needed = BTreeSet::new();
        for image in bundle.images()? {
            let parts = bundle.parts(&image.descriptor)?;
            let manifests = parts.manifests.iter().map(|(manifest, _)| manifest);
            for blob in parts.blobs.iter().chain(manifests) {
                if !bundle.has(blob) {
                    return Err(bundle.members.malformed(format!(
                        "it lacks the blob {} of {}",
                        blob.digest,
                        image.name.as_deref().unwrap_or("an image without a name")
                    )));
                }
                needed.insert(blob.digest);
            }
        }
        if let Some(stray) = bundle
            .members
            .digests()
            .find(|digest| !needed.contains(digest))
        {
            return Err(bundle
                .members
                .malformed(format!("no image needs its blob {stray}")));
        }
        Ok(bundle)
    }

    /// The digest of its list, and by it of all that it holds.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The platform that its images are for; `None` for all that they know.
    pub fn platform(&self) -> Option<&str> {
        self.index.annotations.get(PLATFORM).map(String::as_str)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads all but these blobs and checks them.
    ///
    /// # Errors
    /// The first part that is not what it should be, by name.
    pub fn verify_except(
        &self,
        read_anyway: &BTreeSet<Digest>,
        meter: &Meter,
    ) -> Result<(), OciError> {
        let blobs = self.members.blobs();
        let blobs: Vec<Descriptor> = blobs
            .filter(|blob| !read_anyway.contains(&blob.digest))
            .collect();
        meter.expect(blobs.iter().map(|blob| blob.size).sum());
        for blob in blobs {
            self.reader(&blob)?.check()?;
            meter.add(blob.size);
        }
        Ok(())
    }
}

impl ImageSource for Bundle {
    fn what(&self) -> String {
        self.path.display().to_string()
    }

    fn images(&self) -> Result<Vec<NamedImage>, OciError> {
        Ok(self
            .index
            .manifests
            .iter()
            .cloned()
            .map(NamedImage::from)
            .collect())
    }

    fn has(&self, descriptor: &Descriptor) -> bool {
        self.members.size(&descriptor.digest) == Some(descriptor.size)
    }

    fn reader(&self, descriptor: &Descriptor) -> Result<BlobReader, OciError> {
        self.members.blob(descriptor)
    }
}

/// How a platform is written in a bundle's list.
fn annotation(platform: Option<&Platform>) -> impl Iterator<Item = (String, String)> {
    platform
        .into_iter()
        .map(|platform| (PLATFORM.to_owned(), platform.to_string()))
}

#[cfg(test)]
mod tests;
