//! The manifests as they are published: a copy in which the lab's own images have their place and digest.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lab::LabError;
use oci::{Artifact, Digest};
use serde_yaml::{Mapping, Value};
use tempfile::TempDir;

use crate::ClusterError;

/// An image of the lab's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnImage {
    /// The component that it runs; its name in the manifests is `lab/<component>`.
    pub component: &'static str,
    /// Where the cluster pulls it from, without tag and digest.
    pub repository: String,
    /// Its digest.
    pub digest: Digest,
}

/// Upstream's installation of Argo CD, which is fetched and never published.
const INSTALLATION: &str = "argocd/install.yaml";

/// A copy of the manifests in a directory that goes with this value.
#[derive(Debug)]
pub struct Staged {
    directory: TempDir,
}

impl Staged {
    /// Copies the manifests and writes the images into the copy.
    ///
    /// # Errors
    /// When a file cannot be read or written, or a component's `kustomization.yaml` is no mapping.
    pub fn new(manifests: &Path, images: &[OwnImage]) -> Result<Self, ClusterError> {
        let directory = TempDir::new().map_err(LabError::file(
            "create a directory in",
            std::env::temp_dir(),
        ))?;
        let staged = Self { directory };
        copy(manifests, &staged.manifests(), Path::new(""))?;
        for image in images {
            staged.write_image(image)?;
        }
        Ok(staged)
    }

    /// The copy.
    pub fn manifests(&self) -> PathBuf {
        self.directory.path().join("manifests")
    }

    /// The copy as an artifact; `manifests/` stands at its root.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn pack(&self) -> Result<Artifact, ClusterError> {
        Ok(Artifact::pack(self.directory.path())?)
    }

    /// Puts upstream's installation of Argo CD beside what builds upon it. What is packed afterwards holds it too.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn with_installation(self, file: &Path) -> Result<Self, ClusterError> {
        let to = self.manifests().join(INSTALLATION);
        fs::copy(file, &to).map_err(LabError::file("write", to))?;
        Ok(self)
    }

    fn write_image(&self, image: &OwnImage) -> Result<(), ClusterError> {
        let path = self
            .manifests()
            .join(image.component)
            .join("kustomization.yaml");
        let text = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
        let malformed =
            |error: serde_yaml::Error| ClusterError::malformed(path.display().to_string(), error);
        let mut kustomization: Mapping = serde_yaml::from_str(&text).map_err(malformed)?;
        let entry = [
            ("name", format!("lab/{}", image.component)),
            ("newName", image.repository.clone()),
            ("digest", image.digest.to_string()),
        ];
        let entry = entry
            .into_iter()
            .map(|(key, value)| (Value::from(key), Value::from(value)))
            .collect::<Mapping>();
        kustomization.insert("images".into(), Value::Sequence(vec![entry.into()]));
        let text = serde_yaml::to_string(&kustomization).map_err(malformed)?;
        fs::write(&path, text).map_err(LabError::file("write", path))?;
        Ok(())
    }
}

fn copy(from: &Path, to: &Path, below: &Path) -> Result<(), ClusterError> {
    fs::create_dir_all(to).map_err(LabError::file("create", to))?;
    for entry in fs::read_dir(from).map_err(LabError::file("read", from))? {
        let entry = entry.map_err(LabError::file("read", from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let below = below.join(entry.file_name());
        if path.is_dir() {
            copy(&path, &target, &below)?;
        } else if below != Path::new(INSTALLATION) {
            // Read and written rather than copied: the copy of a read-only file must be writable.
            let bytes = fs::read(&path).map_err(LabError::file("read", &path))?;
            fs::write(&target, bytes).map_err(LabError::file("write", target))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifests() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests")
    }

    fn image() -> OwnImage {
        OwnImage {
            component: "producer",
            repository: "lab-default-registry:5000/lab/producer".to_owned(),
            digest: Digest::of(b"image"),
        }
    }

    #[test]
    fn an_own_image_gets_its_place_and_digest() {
        let staged = Staged::new(&manifests(), &[image()]).unwrap();
        let text =
            fs::read_to_string(staged.manifests().join("producer/kustomization.yaml")).unwrap();
        let value: Value = serde_yaml::from_str(&text).unwrap();
        assert_eq!(
            value["images"][0]["newName"],
            "lab-default-registry:5000/lab/producer"
        );
        assert_eq!(
            value["images"][0]["digest"],
            Digest::of(b"image").to_string().as_str()
        );
        assert!(
            value["resources"]
                .as_sequence()
                .is_some_and(|all| !all.is_empty())
        );
    }

    #[test]
    fn two_copies_have_one_digest_and_no_installation_of_argo_cd() {
        let pack = || {
            Staged::new(&manifests(), &[image()])
                .unwrap()
                .pack()
                .unwrap()
                .digest()
        };
        assert_eq!(pack(), pack());
        let staged = Staged::new(&manifests(), &[]).unwrap();
        assert!(!staged.manifests().join(INSTALLATION).exists());
    }
}
