//! Where images are read from.

use std::{
    collections::BTreeSet,
    io::{self, Read},
};

use crate::{
    Digest, Hasher, OciError,
    manifest::{Descriptor, Index, MAX_MANIFEST_BYTES, Manifest, REF_NAME, parse},
};

/// An image that has a name where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedImage {
    /// Its annotation `org.opencontainers.image.ref.name`.
    pub name: Option<String>,
    /// Its manifest or index.
    pub descriptor: Descriptor,
}

impl From<Descriptor> for NamedImage {
    fn from(descriptor: Descriptor) -> Self {
        Self {
            name: descriptor.annotations.get(REF_NAME).cloned(),
            descriptor,
        }
    }
}

/// A list of images with their blobs: a [`crate::Layout`] or a [`crate::Bundle`].
pub trait ImageSource: Send + Sync {
    /// What it is called in errors.
    fn what(&self) -> String;

    /// Its images, in the order of the list.
    ///
    /// # Errors
    /// [`OciError::File`]; [`OciError::Malformed`].
    fn images(&self) -> Result<Vec<NamedImage>, OciError>;

    /// Whether the blob is there with its size. Its content is checked when it is read.
    fn has(&self, descriptor: &Descriptor) -> bool;

    /// A blob as a stream that is checked on the way.
    ///
    /// # Errors
    /// [`OciError::Malformed`] where it is not there or has another size; [`OciError::File`].
    fn reader(&self, descriptor: &Descriptor) -> Result<BlobReader, OciError>;

    /// The image of this name.
    ///
    /// # Errors
    /// [`OciError::NoImage`], with the names that there are; otherwise as [`ImageSource::images`].
    fn image(&self, name: &str) -> Result<Descriptor, OciError> {
        let images = self.images()?;
        if let Some(image) = images
            .iter()
            .find(|image| image.name.as_deref() == Some(name))
        {
            return Ok(image.descriptor.clone());
        }
        Err(OciError::NoImage {
            name: name.to_owned(),
            place: self.what(),
            known: images.into_iter().filter_map(|image| image.name).collect(),
        })
    }

    /// A small blob, checked: a manifest, an index or a configuration.
    ///
    /// # Errors
    /// [`OciError::Malformed`] where it is larger than 4 MiB; otherwise as [`ImageSource::reader`].
    fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>, OciError> {
        if descriptor.size > MAX_MANIFEST_BYTES {
            return Err(OciError::malformed(
                format!("the blob {} of {}", descriptor.digest, self.what()),
                format!(
                    "it has {} bytes, more than the {MAX_MANIFEST_BYTES} of a manifest",
                    descriptor.size
                ),
            ));
        }
        let mut reader = self.reader(descriptor)?;
        let mut bytes = vec![0; usize::try_from(descriptor.size).unwrap_or(usize::MAX)];
        let mut filled = 0;
        while filled < bytes.len() {
            filled += reader.next(&mut bytes[filled..])?;
        }
        Ok(bytes)
    }

    /// What an image consists of. Of an index, those platforms that are there.
    ///
    /// # Errors
    /// As [`ImageSource::read`]; [`OciError::Malformed`] for an index of which nothing is there.
    fn parts(&self, image: &Descriptor) -> Result<Parts, OciError> {
        let what = format!("the manifest {} of {}", image.digest, self.what());
        let content = self.read(image)?;
        if !image.is_index() {
            let manifest: Manifest = parse(&what, &content)?;
            return Ok(Parts {
                manifests: vec![(image.clone(), content)],
                blobs: manifest.into_blobs().collect(),
                is_whole: true,
            });
        }
        let index: Index = parse(&what, &content)?;
        let mut parts = Parts {
            manifests: Vec::new(),
            blobs: Vec::new(),
            is_whole: true,
        };
        for entry in index.manifests {
            if !self.has(&entry) {
                parts.is_whole = false;
                continue;
            }
            let content = self.read(&entry)?;
            let manifest: Manifest = parse(&entry.digest.to_string(), &content)?;
            parts.blobs.extend(manifest.into_blobs());
            parts.manifests.push((entry, content));
        }
        if parts.manifests.is_empty() {
            return Err(OciError::malformed(what, "none of its manifests is there"));
        }
        parts.manifests.push((image.clone(), content));
        Ok(parts)
    }
}

/// What an image consists of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Its manifests with their contents; an index comes after those that it lists, which is the order of a push.
    pub manifests: Vec<(Descriptor, Vec<u8>)>,
    /// The layers and configurations, in the order of the manifests; one that comes twice is here twice.
    pub blobs: Vec<Descriptor>,
    /// Whether all that an index lists is there.
    pub is_whole: bool,
}

impl Parts {
    /// The blobs, each once.
    pub fn unique_blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let mut seen = BTreeSet::new();
        self.blobs
            .iter()
            .filter(move |blob| seen.insert(blob.digest))
    }
}

/// Reads a blob and gives an error instead of its end where it is not the one that its descriptor names.
pub struct BlobReader {
    what: String,
    content: Box<dyn Read + Send>,
    hasher: Hasher,
    expected: Digest,
    size: u64,
    left: u64,
}

impl BlobReader {
    /// Of a content that `what` names in errors.
    pub(crate) fn new(
        what: String,
        content: impl Read + Send + 'static,
        descriptor: &Descriptor,
    ) -> Self {
        Self {
            what,
            content: Box::new(content),
            hasher: Hasher::default(),
            expected: descriptor.digest,
            size: descriptor.size,
            left: descriptor.size,
        }
    }

    /// The blob's size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next piece of up to `buffer.len()` bytes; 0 at the end of a blob that is the right one.
    ///
    /// # Errors
    /// [`OciError::Mismatch`] in place of the last piece of a wrong one; [`OciError::Malformed`] if the content ends
    /// before; [`OciError::File`].
    pub fn next(&mut self, buffer: &mut [u8]) -> Result<usize, OciError> {
        if self.left == 0 {
            return Ok(0);
        }
        let most = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = loop {
            match self.content.read(&mut buffer[..most]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(|error| OciError::content(&self.what, error))?,
            }
        };
        if read == 0 {
            return Err(OciError::malformed(
                &self.what,
                format!("it ends {} bytes too early", self.left),
            ));
        }
        self.hasher.update(&buffer[..read]);
        self.left -= read as u64;
        if self.left == 0 {
            let found = std::mem::take(&mut self.hasher).finish();
            if found != self.expected {
                return Err(OciError::Mismatch {
                    what: self.what.clone(),
                    expected: self.expected,
                    found,
                });
            }
        }
        Ok(read)
    }

    /// Hands what is left of it on, piece by piece.
    ///
    /// # Errors
    /// As [`BlobReader::next`] and those of `push`.
    pub(crate) fn copy(
        mut self,
        mut push: impl FnMut(&[u8]) -> Result<(), OciError>,
    ) -> Result<(), OciError> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            match self.next(&mut buffer)? {
                0 => return Ok(()),
                read => push(&buffer[..read])?,
            }
        }
    }

    /// Reads what is left of it.
    ///
    /// # Errors
    /// As [`BlobReader::next`].
    pub fn check(self) -> Result<(), OciError> {
        self.copy(|_| Ok(()))
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(io::Error::other)
    }
}
