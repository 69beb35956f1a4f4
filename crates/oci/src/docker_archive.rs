//! Images out of the archives that `docker save` and `podman save` write, in both of their forms; and into one that both
//! programs load.
//!
//! Docker 25 and later writes an OCI image layout as an archive, with a `manifest.json` beside it for older readers. Before,
//! and in podman's `docker-archive`, there is the `manifest.json` alone: a list of images with the paths of their
//! configuration and of their plain layers, where a layer that comes twice may be a symbolic link.
//!
//! Either may be compressed by gzip: so people keep them, and so the `dockerTools` of nixpkgs write them.

mod export;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek as _, SeekFrom, Write as _},
    path::{Component, Path, PathBuf},
};

pub use export::export;
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use tar::{Archive, EntryType};

use crate::{
    ImageSource as _, Layout, NamedImage, OciError, Reference,
    manifest::{
        CONFIG, Descriptor, Index, LAYER, MANIFEST, MAX_MANIFEST_BYTES, Manifest, REF_NAME, parse,
        to_json,
    },
};

/// Where containerd, and Docker with it, writes an image's whole name; its `ref.name` may be the tag alone.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// The first bytes of what gzip has compressed (RFC 1952, "Member header").
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// More links than this after each other are a circle.
const MAX_LINKS: usize = 16;

/// An image of `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage {
    config: PathBuf,
    repo_tags: Option<Vec<String>>,
    layers: Vec<PathBuf>,
}

/// The part of an image's configuration that says what its layers are.
#[derive(Debug, Deserialize)]
struct Config {
    rootfs: RootFs,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    diff_ids: Vec<crate::Digest>,
}

/// Copies the images of an archive into the layout and lists them under their names, written out as [`Reference`]s.
/// Layers are streamed and checked against what the image says of them.
///
/// # Errors
/// [`OciError::Malformed`] for what is no such archive, lacks a part or is compressed otherwise than by gzip;
/// [`OciError::Mismatch`] for a part that is not the one named; [`OciError::File`].
pub fn import(archive: &Path, layout: &Layout) -> Result<Vec<NamedImage>, OciError> {
    let mut saved = Saved::open(archive, layout)?;
    let images = if saved.has("index.json") {
        let index: Index = saved.json("index.json")?;
        let mut images = Vec::new();
        for image in index.manifests {
            saved.copy_image(&image, layout)?;
            let names = [CONTAINERD_NAME, REF_NAME];
            let name = names.iter().find_map(|key| image.annotations.get(*key));
            images.push((name.cloned(), image));
        }
        images
    } else {
        let mut images = Vec::new();
        for image in saved.json::<Vec<SavedImage>>("manifest.json")? {
            let descriptor = saved.convert(&image, layout)?;
            for name in image.repo_tags.unwrap_or_default() {
                images.push((Some(name), descriptor.clone()));
            }
        }
        images
    };
    let mut listed = Vec::new();
    for (name, descriptor) in images {
        let name = match name {
            // A bare tag reads as a repository's name, which is no worse than any other.
            Some(name) => match name.parse::<Reference>() {
                Ok(reference) => reference.to_string(),
                Err(_) => name,
            },
            None => descriptor.digest.to_string(),
        };
        layout.set_image(&name, descriptor.clone())?;
        listed.push(NamedImage {
            name: Some(name),
            descriptor,
        });
    }
    if listed.is_empty() {
        return Err(saved.malformed("it has no image with a name"));
    }
    Ok(listed)
}

/// Where a member of the archive is.
#[derive(Debug)]
enum Member {
    Content { offset: u64, size: u64 },
    Link(PathBuf),
}

/// An archive with the places of its members. They come in any order, and what names them often last.
struct Saved {
    path: PathBuf,
    file: File,
    members: BTreeMap<PathBuf, Member>,
}

impl Saved {
    fn open(path: &Path, layout: &Layout) -> Result<Self, OciError> {
        let mut file = File::open(path).map_err(OciError::file("read", path))?;
        let what = path.display().to_string();
        let mut magic = [0; GZIP.len()];
        let is_compressed = file.read_exact(&mut magic).is_ok() && magic == GZIP;
        file.rewind().map_err(OciError::file("read", path))?;
        if is_compressed {
            file = decompressed(file, path, layout.root())?;
        }
        let size = file.metadata().map_err(OciError::file("read", path))?.len();
        let malformed = |error: io::Error| OciError::malformed(&what, error);
        let mut members = BTreeMap::new();
        let mut archive = Archive::new(&file);
        for entry in archive.entries_with_seek().map_err(malformed)? {
            let entry = entry.map_err(malformed)?;
            let path = normal(&entry.path().map_err(malformed)?);
            let member = match entry.header().entry_type() {
                EntryType::Regular => {
                    let member = Member::Content {
                        offset: entry.raw_file_position(),
                        size: entry.size(),
                    };
                    // Members are skipped by seeking, which does not notice the end of the file.
                    if entry.raw_file_position().saturating_add(entry.size()) > size {
                        return Err(OciError::malformed(
                            &what,
                            format!("it is cut short within {}", path.display()),
                        ));
                    }
                    member
                }
                EntryType::Symlink => {
                    let target = entry.link_name().map_err(malformed)?.unwrap_or_default();
                    Member::Link(normal(&path.parent().unwrap_or(Path::new("")).join(target)))
                }
                EntryType::Link => {
                    let target = entry.link_name().map_err(malformed)?.unwrap_or_default();
                    Member::Link(normal(&target))
                }
                _ => continue,
            };
            members.insert(path, member);
        }

        Ok(Self {
            path: path.to_owned(),
            file,
            members,
        })
    }

    fn has(&self, member: &str) -> bool {
        self.members.contains_key(Path::new(member))
    }

    fn malformed(&self, reason: impl ToString) -> OciError {
        OciError::malformed(self.path.display().to_string(), reason)
    }

    /// The content of a member and its size in bytes, links followed.
    fn content(&mut self, member: &Path) -> Result<(impl Read + '_, u64), OciError> {
        let mut at = member;
        for _ in 0..MAX_LINKS {
            match self.members.get(at) {
                Some(Member::Link(target)) => at = target,
                Some(Member::Content { offset, size }) => {
                    let (offset, size) = (*offset, *size);
                    self.file
                        .seek(SeekFrom::Start(offset))
                        .map_err(OciError::file("read", &self.path))?;
                    return Ok(((&self.file).take(size), size));
                }
                None => break,
            }
        }
        Err(self.malformed(format!("it has no {}", member.display())))
    }

    /// A small member.
    fn bytes(&mut self, member: &Path) -> Result<Vec<u8>, OciError> {
        let path = self.path.clone();
        let (mut content, size) = self.content(member)?;
        if size > MAX_MANIFEST_BYTES {
            return Err(OciError::malformed(
                member.display().to_string(),
                format!("it has {size} bytes, more than {MAX_MANIFEST_BYTES}"),
            ));
        }
        let mut bytes = Vec::new();
        content
            .read_to_end(&mut bytes)
            .map_err(OciError::file("read", path))?;
        Ok(bytes)
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self, member: &str) -> Result<T, OciError> {
        let bytes = self.bytes(Path::new(member))?;
        parse(&format!("{} of {}", member, self.path.display()), &bytes)
    }

    /// Copies a manifest or index with all that it names.
    fn copy_image(&mut self, image: &Descriptor, layout: &Layout) -> Result<(), OciError> {
        self.copy_blob(image, layout)?;
        let what = format!("{} of {}", image.digest, self.path.display());
        let bytes = layout.read(image)?;
        if !image.is_index() {
            let manifest: Manifest = parse(&what, &bytes)?;
            return manifest
                .layers
                .iter()
                .chain([&manifest.config])
                .try_for_each(|blob| self.copy_blob(blob, layout));
        }
        let index: Index = parse(&what, &bytes)?;
        // Docker saves the whole index with the one platform that it has.
        let saved = |entry: &&Descriptor| self.members.contains_key(&blob_path(entry));
        let entries: Vec<Descriptor> = index.manifests.iter().filter(saved).cloned().collect();
        if entries.is_empty() {
            return Err(self.malformed(format!("it has no manifest of the index {}", image.digest)));
        }
        entries
            .iter()
            .try_for_each(|entry| self.copy_image(entry, layout))
    }

    fn copy_blob(&mut self, blob: &Descriptor, layout: &Layout) -> Result<(), OciError> {
        self.copy(&blob_path(blob), blob, layout)
    }

    fn copy(&mut self, member: &Path, blob: &Descriptor, layout: &Layout) -> Result<(), OciError> {
        let what = format!("{} of {}", member.display(), self.path.display());
        let path = self.path.clone();
        let (mut content, _) = self.content(member)?;
        let Some(mut writer) = layout.writer(blob)? else {
            return Ok(());
        };
        writer.restart()?;
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = content
                .read(&mut buffer)
                .map_err(OciError::file("read", &path))?;
            if read == 0 {
                break;
            }
            writer.push(&buffer[..read])?;
        }
        writer.finish(&what)?;
        Ok(())
    }

    /// Makes an OCI manifest of an image of the old form. Its layers stay as they are: a plain layer's digest is its diff
    /// ID, which the configuration names.
    fn convert(&mut self, image: &SavedImage, layout: &Layout) -> Result<Descriptor, OciError> {
        let bytes = self.bytes(&normal(&image.config))?;
        let what = format!("{} of {}", image.config.display(), self.path.display());
        let config: Config = parse(&what, &bytes)?;
        let diff_ids = config.rootfs.diff_ids;
        if diff_ids.len() != image.layers.len() {
            return Err(OciError::malformed(
                what,
                format!(
                    "it names {} layers, manifest.json {}",
                    diff_ids.len(),
                    image.layers.len()
                ),
            ));
        }
        let config = layout.add(CONFIG, &bytes)?;
        let mut layers = Vec::new();
        for (path, diff_id) in image.layers.iter().zip(diff_ids) {
            let path = normal(path);
            let (_, size) = self.content(&path)?;
            let layer = Descriptor::new(LAYER, diff_id, size);
            self.copy(&path, &layer, layout)?;
            layers.push(layer);
        }
        layout.add(MANIFEST, &to_json(&Manifest::new(config, layers))?)
    }
}

/// What gzip has compressed, in a file that has no name and goes with its handle: members are found by seeking.
fn decompressed(file: File, path: &Path, directory: &Path) -> Result<File, OciError> {
    let mut plain =
        tempfile::tempfile_in(directory).map_err(OciError::file("create a file in", directory))?;
    let mut compressed = MultiGzDecoder::new(io::BufReader::new(file));
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = compressed.read(&mut buffer).map_err(|error| {
            OciError::malformed(
                path.display().to_string(),
                format!("its compression: {error}"),
            )
        })?;
        if read == 0 {
            break;
        }
        plain
            .write_all(&buffer[..read])
            .map_err(OciError::file("write to", directory))?;
    }
    plain.rewind().map_err(OciError::file("read", directory))?;
    Ok(plain)
}

fn blob_path(blob: &Descriptor) -> PathBuf {
    Path::new("blobs/sha256").join(blob.digest.hex())
}

/// The path with `.` and `..` taken out: members are looked up by it, nothing is written there.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::ParentDir => {
                normal.pop();
            }
            _ => {}
        }
    }
    normal
}

#[cfg(test)]
mod tests;
