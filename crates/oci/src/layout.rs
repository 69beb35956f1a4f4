//! An OCI image layout: a directory of blobs and the list of the images in it.

mod blob;

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::Deserialize;

pub use blob::BlobWriter;
pub(crate) use blob::{stands_at, sync_directory};

use crate::{
    BlobReader, Digest, ImageSource, NamedImage, OciError,
    manifest::{Descriptor, Index, REF_NAME, parse, to_json},
};

/// The only version of the format (OCI image specification, "Image Layout").
pub(crate) const MARKER: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// A directory with the files `oci-layout` and `index.json` and the blobs below `blobs/sha256/`.
///
/// Writers of different blobs do not disturb each other; the list of images is one file, whose last writer wins.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Opens the layout in `root`, and makes an empty one where there is none.
    ///
    /// # Errors
    /// [`OciError::File`]; [`OciError::Malformed`] where there is something else.
    pub fn create(root: &Path) -> Result<Self, OciError> {
        let layout = Self {
            root: root.to_owned(),
        };
        let blobs = layout.blobs();
        fs::create_dir_all(&blobs).map_err(OciError::file("create", &blobs))?;
        if !layout.list().exists() {
            layout.write_list(&Index::new(Vec::new()))?;
        }
        // Last: a directory with this file is a layout.
        if !layout.marker().exists() {
            layout.write_file(&layout.marker(), MARKER)?;
        }
        Self::open(root)
    }

    /// Opens the layout in `root`.
    ///
    /// # Errors
    /// [`OciError::File`] and [`OciError::Malformed`] where there is none.
    pub fn open(root: &Path) -> Result<Self, OciError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Marker {
            image_layout_version: String,
        }
        let layout = Self {
            root: root.to_owned(),
        };
        let path = layout.marker();
        let bytes = fs::read(&path).map_err(OciError::file("read", &path))?;
        let marker: Marker = parse(&path.display().to_string(), &bytes)?;
        if marker.image_layout_version != "1.0.0" {
            return Err(OciError::malformed(
                path.display().to_string(),
                format!(
                    "it has version {}, expected 1.0.0",
                    marker.image_layout_version
                ),
            ));
        }
        layout.read_list()?;
        Ok(layout)
    }

    /// Its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Lists an image under a name, in place of the one that had it.
    ///
    /// # Errors
    /// As [`Layout::images`].
    pub fn set_image(&self, name: &str, mut descriptor: Descriptor) -> Result<(), OciError> {
        let mut list = self.read_list()?;
        list.manifests
            .retain(|other| other.annotations.get(REF_NAME).map(String::as_str) != Some(name));
        descriptor
            .annotations
            .insert(REF_NAME.to_owned(), name.to_owned());
        list.manifests.push(descriptor);
        // The order in which images came must not be in the bytes.
        list.manifests.sort_by(|one, other| {
            let key = |image: &Descriptor| (image.annotations.get(REF_NAME).cloned(), image.digest);
            key(one).cmp(&key(other))
        });
        self.write_list(&list)
    }

    /// A blob to be written, going on where an earlier writer stopped; `None` where it is there.
    ///
    /// # Errors
    /// [`OciError::Busy`] where another command writes it; [`OciError::File`].
    pub fn writer(&self, descriptor: &Descriptor) -> Result<Option<BlobWriter>, OciError> {
        let path = self.blob(&descriptor.digest);
        if path.exists() && !self.has(descriptor) {
            // A blob gets its name when it is whole: this one was damaged since.
            fs::remove_file(&path).map_err(OciError::file("remove", &path))?;
        }
        BlobWriter::known(&self.root, self.blobs(), descriptor.digest, descriptor.size)
    }

    /// Copies an image from elsewhere and lists it under a name.
    ///
    /// # Errors
    /// As [`ImageSource::reader`]; [`OciError::Busy`]; [`OciError::File`].
    pub fn take(
        &self,
        source: &dyn ImageSource,
        image: &Descriptor,
        name: &str,
    ) -> Result<(), OciError> {
        let parts = source.parts(image)?;
        for blob in parts.unique_blobs() {
            let Some(mut writer) = self.writer(blob)? else {
                continue;
            };
            writer.restart()?;
            source.reader(blob)?.copy(|piece| writer.push(piece))?;
            writer.finish(&source.what())?;
        }
        for (manifest, content) in &parts.manifests {
            self.add(&manifest.media_type, content)?;
        }
        self.set_image(name, image.clone())
    }

    /// A blob to be written whose digest is not known before.
    ///
    /// # Errors
    /// [`OciError::File`].
    pub fn new_blob(&self) -> Result<BlobWriter, OciError> {
        BlobWriter::unknown(&self.root, self.blobs())
    }

    /// Adds a small blob.
    ///
    /// # Errors
    /// [`OciError::File`].
    pub fn add(&self, media_type: &str, content: &[u8]) -> Result<Descriptor, OciError> {
        let mut writer = self.new_blob()?;
        writer.push(content)?;
        let (digest, size) = writer.finish("a blob")?;
        Ok(Descriptor::new(media_type, digest, size))
    }

    /// Reads every blob that the images need and checks it.
    ///
    /// # Errors
    /// The first blob that is missing or another one.
    pub fn verify(&self) -> Result<(), OciError> {
        for image in self.images()? {
            let parts = self.parts(&image.descriptor)?;
            for blob in parts.unique_blobs() {
                self.reader(blob)?.check()?;
            }
        }
        Ok(())
    }

    fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    fn list(&self) -> PathBuf {
        self.root.join("index.json")
    }

    fn marker(&self) -> PathBuf {
        self.root.join("oci-layout")
    }

    fn read_list(&self) -> Result<Index, OciError> {
        let path = self.list();
        let bytes = fs::read(&path).map_err(OciError::file("read", &path))?;
        parse(&path.display().to_string(), &bytes)
    }

    fn write_list(&self, list: &Index) -> Result<(), OciError> {
        self.write_file(&self.list(), &to_json(list)?)
    }

    /// Writes a file whole or not at all.
    fn write_file(&self, path: &Path, content: &[u8]) -> Result<(), OciError> {
        let unfinished = path.with_extension("unfinished");
        let write = || -> io::Result<()> {
            let mut file = fs::File::create(&unfinished)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&unfinished, path)
        };
        write().map_err(OciError::file("write", path))?;
        sync_directory(&self.root)
    }
}

impl ImageSource for Layout {
    fn what(&self) -> String {
        self.root.display().to_string()
    }

    fn images(&self) -> Result<Vec<NamedImage>, OciError> {
        let images = self.read_list()?.manifests.into_iter();
        Ok(images.map(NamedImage::from).collect())
    }

    fn has(&self, descriptor: &Descriptor) -> bool {
        self.blob(&descriptor.digest)
            .metadata()
            .is_ok_and(|found| found.is_file() && found.len() == descriptor.size)
    }

    fn reader(&self, descriptor: &Descriptor) -> Result<BlobReader, OciError> {
        let path = self.blob(&descriptor.digest);
        let file = fs::File::open(&path).map_err(OciError::file("read", &path))?;
        let found = file
            .metadata()
            .map_err(OciError::file("read", &path))?
            .len();
        let what = path.display().to_string();
        if found != descriptor.size {
            return Err(OciError::malformed(
                what,
                format!("it has {found} bytes, expected {}", descriptor.size),
            ));
        }
        Ok(BlobReader::new(what, file, descriptor))
    }
}

#[cfg(test)]
mod tests;
