//! A directory as an OCI artifact, such as Argo CD reads manifests from.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use crate::{
    Digest, ImageSource, Layout, OciError,
    archive::{ArchiveWriter, unpack::unpack},
    manifest::{Descriptor, EMPTY, LAYER_GZIP, MANIFEST, Manifest, parse, to_json},
};

/// The type of the lab's manifests as an artifact. Argo CD looks at the layer's media type only.
pub const ARTIFACT_TYPE: &str = "application/vnd.lab.manifests.v1";

/// The empty configuration of an artifact (OCI image specification 1.1, "Guidance for an Empty Descriptor").
pub(crate) const EMPTY_CONFIG: &[u8] = b"{}";

/// Manifests are text; what is bigger is none. It bounds the memory that an artifact takes.
pub(crate) const MAX_LAYER_BYTES: u64 = 64 << 20;

/// As much as an artifact may take when unpacked.
const MAX_UNPACKED_BYTES: u64 = 256 << 20;

/// A directory as one layer with a manifest. The same files give the same digest wherever and whenever they are packed.
///
/// Shape: one layer of type [`LAYER_GZIP`], the empty configuration, [`ARTIFACT_TYPE`]. Argo CD (3.1 and later) wants
/// exactly one layer of that type in an `oci://` source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    manifest: Vec<u8>,
    layer: Vec<u8>,
    layer_digest: Digest,
}

impl Artifact {
    /// Packs the files and directories below `directory`. Of their metadata only the executable bit counts.
    ///
    /// # Errors
    /// [`OciError::Entry`] for a symbolic link and anything else that is neither file nor directory, and for more than
    /// 64 MiB; [`OciError::File`] for what cannot be read.
    pub fn pack(directory: &Path) -> Result<Self, OciError> {
        let mut entries = Vec::new();
        collect(directory, Path::new(""), &mut entries)?;
        entries.sort_unstable_by(|one, other| {
            one.path
                .as_os_str()
                .as_bytes()
                .cmp(other.path.as_os_str().as_bytes())
        });
        let mut archive = ArchiveWriter::new(Vec::new());
        for entry in &entries {
            let from = directory.join(&entry.path);
            let read = OciError::file("read", &from);
            match entry.content {
                Content::Directory => archive.directory(&entry.path, 0o755).map_err(read)?,
                Content::File { size, executable } => {
                    let mode = if executable { 0o755 } else { 0o644 };
                    let file = File::open(&from).map_err(OciError::file("read", &from))?;
                    archive.file(&entry.path, mode, size, file).map_err(read)?;
                }
            }
        }
        let (layer, _) = archive
            .finish()
            .map_err(OciError::file("pack", directory))?;
        if layer.len() as u64 > MAX_LAYER_BYTES {
            return Err(OciError::entry(
                directory,
                format!(
                    "it packs to {} bytes, more than {MAX_LAYER_BYTES}",
                    layer.len()
                ),
            ));
        }
        let mut manifest = Manifest::new(
            Descriptor::of(EMPTY, EMPTY_CONFIG),
            vec![Descriptor::of(LAYER_GZIP, &layer)],
        );
        manifest.artifact_type = Some(ARTIFACT_TYPE.to_owned());
        Ok(Self {
            manifest: to_json(&manifest)?,
            layer_digest: Digest::of(&layer),
            layer,
        })
    }

    /// The artifact that a layout or bundle has.
    ///
    /// # Errors
    /// As [`ImageSource::read`]; [`OciError::Malformed`] for an image, an index and a layer larger than 64 MiB.
    pub fn of(source: &dyn ImageSource, image: &Descriptor) -> Result<Self, OciError> {
        let manifest = source.read(image)?;
        let layer = Self::layer_of(&format!("{} of {}", image.digest, source.what()), &manifest)?;
        let mut bytes = Vec::new();
        source
            .reader(&layer)?
            .read_to_end(&mut bytes)
            .map_err(|error| OciError::content(&source.what(), error))?;
        Ok(Self::checked(manifest, bytes, layer.digest))
    }

    /// The one layer that the manifest of an artifact names.
    pub(crate) fn layer_of(what: &str, manifest: &[u8]) -> Result<Descriptor, OciError> {
        let manifest: Manifest = parse(what, manifest)?;
        match &manifest.layers[..] {
            [layer] if layer.media_type != LAYER_GZIP => Err(OciError::malformed(
                what,
                format!(
                    "its layer is of type {}, not {LAYER_GZIP}",
                    layer.media_type
                ),
            )),
            [layer] if layer.size > MAX_LAYER_BYTES => Err(OciError::malformed(
                what,
                format!(
                    "its layer has {} bytes, more than {MAX_LAYER_BYTES}",
                    layer.size
                ),
            )),
            [layer] => Ok(layer.clone()),
            layers => Err(OciError::malformed(
                what,
                format!("it has {} layers, expected one", layers.len()),
            )),
        }
    }

    /// Of a manifest and a layer that were checked against each other.
    pub(crate) fn checked(manifest: Vec<u8>, layer: Vec<u8>, layer_digest: Digest) -> Self {
        Self {
            manifest,
            layer,
            layer_digest,
        }
    }

    /// Adds it to a layout, without listing it.
    ///
    /// # Errors
    /// [`OciError::File`].
    pub fn add_to(&self, layout: &Layout) -> Result<Descriptor, OciError> {
        layout.add(EMPTY, EMPTY_CONFIG)?;
        layout.add(LAYER_GZIP, &self.layer)?;
        layout.add(MANIFEST, &self.manifest)
    }

    /// Unpacks the layer into `to`, which is made and must be empty.
    ///
    /// # Errors
    /// [`OciError::Entry`] for a path that leads out of `to` and for anything but files and directories;
    /// [`OciError::Malformed`] for a layer that is no archive or is larger than 256 MiB; [`OciError::File`].
    pub fn unpack(&self, to: &Path) -> Result<(), OciError> {
        let what = format!("the layer {}", self.layer_digest);
        unpack(&what, &self.layer[..], to, MAX_UNPACKED_BYTES)
    }

    /// Adds a file to a layout as an artifact of its own type, without listing it.
    ///
    /// # Errors
    /// [`OciError::File`].
    pub fn add_file(
        layout: &Layout,
        media_type: &str,
        content: &[u8],
    ) -> Result<Descriptor, OciError> {
        let config = layout.add(EMPTY, EMPTY_CONFIG)?;
        let mut manifest = Manifest::new(config, vec![layout.add(media_type, content)?]);
        manifest.artifact_type = Some(media_type.to_owned());
        layout.add(MANIFEST, &to_json(&manifest)?)
    }

    /// What names the artifact: the digest of its manifest.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// The descriptor of its manifest.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::of(MANIFEST, &self.manifest)
    }

    /// The bytes of its manifest.
    pub fn manifest(&self) -> &[u8] {
        &self.manifest
    }

    /// The bytes of its layer.
    pub fn layer(&self) -> &[u8] {
        &self.layer
    }

    /// The digest of its layer.
    pub fn layer_digest(&self) -> Digest {
        self.layer_digest
    }
}

struct Entry {
    path: PathBuf,
    content: Content,
}

enum Content {
    Directory,
    File { size: u64, executable: bool },
}

/// Adds what is below `root` at `path`, in the directory's order.
fn collect(root: &Path, path: &Path, entries: &mut Vec<Entry>) -> Result<(), OciError> {
    let directory = root.join(path);
    let listing = fs::read_dir(&directory).map_err(OciError::file("read", &directory))?;
    for entry in listing {
        let entry = entry.map_err(OciError::file("read", &directory))?;
        let path = path.join(entry.file_name());
        // Does not follow links.
        let metadata = entry
            .metadata()
            .map_err(OciError::file("read", entry.path()))?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            entries.push(Entry {
                path: path.clone(),
                content: Content::Directory,
            });
            collect(root, &path, entries)?;
        } else if kind.is_file() {
            entries.push(Entry {
                path,
                content: Content::File {
                    size: metadata.len(),
                    executable: metadata.permissions().mode() & 0o111 != 0,
                },
            });
        } else if kind.is_symlink() {
            return Err(OciError::entry(
                entry.path(),
                "it is a symbolic link; copy what it points to",
            ));
        } else {
            return Err(OciError::entry(
                entry.path(),
                "it is neither a file nor a directory",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{Permissions, set_permissions},
        os::unix::{fs::symlink, net::UnixListener},
        time::{Duration, SystemTime},
    };

    use super::*;

    const FILES: [(&str, &str); 5] = [
        ("kustomization.yaml", "resources: []\n"),
        ("apps/a.yaml", "a: 1\n"),
        ("apps.yaml", "sorts before apps/ by its bytes\n"),
        ("run.sh", "#!/bin/sh\n"),
        (
            "deep/0123456789012345678901234567890123456789/0123456789012345678901234567890123456789/long-name.yaml",
            "a path of more than 100 bytes\n",
        ),
    ];

    /// The tree, its files made in this order.
    fn tree<'a>(files: impl IntoIterator<Item = &'a (&'a str, &'a str)>) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        set_mode(&directory, "run.sh", 0o755);
        fs::create_dir(directory.path().join("empty")).unwrap();
        directory
    }

    fn set_mode(directory: &tempfile::TempDir, path: &str, mode: u32) {
        set_permissions(directory.path().join(path), Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_same_tree_has_the_same_digest() {
        let one = tree(&FILES);
        let expected = Artifact::pack(one.path()).unwrap();
        assert_eq!(Artifact::pack(one.path()).unwrap(), expected);

        let other = tree(FILES.iter().rev());
        assert_eq!(
            Artifact::pack(other.path()).unwrap(),
            expected,
            "the order of creation"
        );

        File::open(other.path().join("apps/a.yaml"))
            .unwrap()
            .set_modified(SystemTime::now() - Duration::from_secs(1_000_000))
            .unwrap();
        assert_eq!(Artifact::pack(other.path()).unwrap(), expected, "times");

        // What umask 077 would have given.
        for (path, mode) in [("apps", 0o700), ("apps/a.yaml", 0o600), ("run.sh", 0o700)] {
            set_mode(&other, path, mode);
        }
        assert_eq!(Artifact::pack(other.path()).unwrap(), expected, "umask");

        set_mode(&other, "run.sh", 0o600);
        assert_ne!(
            Artifact::pack(other.path()).unwrap(),
            expected,
            "executable bit"
        );
    }

    #[test]
    fn the_packing_is_the_one_of_every_machine() {
        // When this changes, every artifact that was pushed before gets another digest.
        let artifact = Artifact::pack(tree(&FILES).path()).unwrap();
        assert_eq!(
            artifact.digest().to_string(),
            "sha256:79f94a76fb276ecd3a0cf4e50efe353593a9cf3a2d1dcf2fdee7a273550c4a29"
        );
    }

    #[test]
    fn the_manifest_is_one_that_argo_cd_reads() {
        let artifact = Artifact::pack(tree(&FILES).path()).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(artifact.manifest()).unwrap();
        assert_eq!(manifest["schemaVersion"], 2);
        assert_eq!(
            manifest["mediaType"],
            "application/vnd.oci.image.manifest.v1+json"
        );
        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 1);
        assert_eq!(
            layers[0]["mediaType"],
            "application/vnd.oci.image.layer.v1.tar+gzip"
        );
        // The digest that the specification gives for the empty descriptor.
        assert_eq!(
            manifest["config"]["digest"],
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
        assert_eq!(manifest["artifactType"], ARTIFACT_TYPE);
        let read: Manifest = parse("it", artifact.manifest()).unwrap();
        assert_eq!(read.layers[0].digest, Digest::of(artifact.layer()));
    }

    #[test]
    fn what_is_unpacked_packs_alike() {
        let packed = Artifact::pack(tree(&FILES).path()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("to");
        packed.unpack(&to).unwrap();
        for (path, content) in FILES {
            assert_eq!(fs::read_to_string(to.join(path)).unwrap(), content);
        }
        assert!(to.join("empty").is_dir());
        assert_eq!(Artifact::pack(&to).unwrap(), packed);
    }

    #[test]
    fn links_and_sockets_are_refused_by_name() {
        let directory = tree(&FILES);
        symlink("a.yaml", directory.path().join("apps/link")).unwrap();
        let error = Artifact::pack(directory.path()).unwrap_err().to_string();
        assert!(error.contains("apps/link"), "{error}");
        assert!(error.contains("symbolic link"), "{error}");

        let directory = tree(&FILES);
        let _socket = UnixListener::bind(directory.path().join("socket")).unwrap();
        let error = Artifact::pack(directory.path()).unwrap_err().to_string();
        assert!(error.contains("neither a file nor a directory"), "{error}");
    }
}
