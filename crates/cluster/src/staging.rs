//! The manifests as they are published: a copy in which the lab's own images have their place and digest.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lab::LabError;
use oci::{Artifact, Digest};
use serde_yaml::{Mapping, Value};
use tempfile::TempDir;

use crate::{ClusterError, Namespaces};

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

/// What a cluster wants otherwise than the manifests say.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The lab's namespaces there.
    pub namespaces: Namespaces,
    /// The storage class of its volumes.
    pub storage_class: Option<String>,
}

impl Changes {
    fn apply(&self, path: &Path, text: String) -> String {
        let text = self.namespaces.rename(path, text);
        match &self.storage_class {
            Some(class) if path.ends_with("statefulset.yaml") => with_storage_class(&text, class),
            _ => text,
        }
    }
}

/// A StatefulSet whose volumes are of this class. The text is kept otherwise: read as YAML and written back, a mode in octal
/// would come out as a string.
fn with_storage_class(text: &str, class: &str) -> String {
    text.lines().fold(String::new(), |mut changed, line| {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start().starts_with("accessModes:") {
            changed.push_str(&format!("{:indent$}storageClassName: {class}\n", ""));
        }
        changed.push_str(line);
        changed.push('\n');
        changed
    })
}

/// Upstream's installation of Argo CD, which is fetched and never published.
const INSTALLATION: &str = "argocd/install.yaml";

/// A copy of the manifests in a directory that goes with this value.
#[derive(Debug)]
pub struct Staged {
    directory: TempDir,
    changes: Changes,
}

impl Staged {
    /// Copies the manifests and writes the images into the copy.
    ///
    /// # Errors
    /// When a file cannot be read or written, or a component's `kustomization.yaml` is no mapping.
    pub fn new(
        manifests: &Path,
        images: &[OwnImage],
        changes: &Changes,
    ) -> Result<Self, ClusterError> {
        let directory = TempDir::new().map_err(LabError::file(
            "create a directory in",
            std::env::temp_dir(),
        ))?;
        let staged = Self {
            directory,
            changes: changes.clone(),
        };
        copy(manifests, &staged.manifests(), Path::new(""), changes)?;
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
        let text = fs::read_to_string(file).map_err(LabError::file("read", file))?;
        // Its cluster-wide bindings name the namespace of their accounts, and kustomize leaves those alone.
        let text = self.changes.apply(file, text);
        let to = self.manifests().join(INSTALLATION);
        fs::write(&to, text).map_err(LabError::file("write", to))?;
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

fn copy(from: &Path, to: &Path, below: &Path, changes: &Changes) -> Result<(), ClusterError> {
    fs::create_dir_all(to).map_err(LabError::file("create", to))?;
    for entry in fs::read_dir(from).map_err(LabError::file("read", from))? {
        let entry = entry.map_err(LabError::file("read", from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let below = below.join(entry.file_name());
        if path.is_dir() {
            copy(&path, &target, &below, changes)?;
        } else if below != Path::new(INSTALLATION) {
            // Read and written rather than copied: the copy of a read-only file must be writable.
            let text = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
            let text = changes.apply(&path, text);
            fs::write(&target, text).map_err(LabError::file("write", target))?;
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
        let staged = Staged::new(&manifests(), &[image()], &Changes::default()).unwrap();
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
            Staged::new(&manifests(), &[image()], &Changes::default())
                .unwrap()
                .pack()
                .unwrap()
                .digest()
        };
        assert_eq!(pack(), pack());
        let staged = Staged::new(&manifests(), &[], &Changes::default()).unwrap();
        assert!(!staged.manifests().join(INSTALLATION).exists());
    }

    #[test]
    fn a_storage_class_stands_in_every_claim() {
        let changes = Changes {
            storage_class: Some("fast".to_owned()),
            ..Changes::default()
        };
        let staged = Staged::new(&manifests(), &[], &changes).unwrap();
        for component in ["loki", "minio", "prometheus", "pyroscope", "rabbitmq"] {
            let path = staged.manifests().join(component).join("statefulset.yaml");
            let text = fs::read_to_string(path).unwrap();
            let set: Value = serde_yaml::from_str(&text).unwrap();
            let class = &set["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"];
            assert_eq!(class, "fast", "{component}");
            assert!(!text.contains("\"0440\""), "{text}");
        }
    }
}
