//! Manifests that name their images where a bundle has put them.

use std::{collections::BTreeMap, fs, path::Path};

use lab::LabError;
use oci::Reference;
use serde_yaml::{Mapping, Value};

use super::is_of_engine;
use crate::{ClusterError, pins};

/// Writes the new name of each image, by the pinned one, into the manifests. Those that the container engine runs lose their
/// digest: an engine that was handed an image as an archive knows it by its tag alone.
///
/// # Errors
/// When an image has no new name, or a file cannot be read or written.
pub(super) fn relocate(
    manifests: &Path,
    moved: &BTreeMap<Reference, Reference>,
) -> Result<(), ClusterError> {
    for file in pins::read(manifests)? {
        let path = file.path();
        let mut text = fs::read_to_string(path).map_err(LabError::file("read", path))?;
        for image in file.images() {
            let missing = || {
                let reason = format!("the bundle does not have its image {image}");
                ClusterError::malformed(path.display().to_string(), reason)
            };
            let to = if is_of_engine(path) {
                image.by_tag().ok_or_else(missing)?
            } else {
                moved.get(image).ok_or_else(missing)?.clone()
            };
            text = if path.ends_with("kustomization.yaml") {
                replace_entry(path, &text, image, &to)?
            } else {
                text.replace(&image.to_string(), &to.to_string())
            };
        }
        fs::write(path, text).map_err(LabError::file("write", path))?;
    }
    Ok(())
}

/// The entry of `images` that pins an image gets the new name, without which kustomize leaves the old one.
fn replace_entry(
    path: &Path,
    text: &str,
    image: &Reference,
    to: &Reference,
) -> Result<String, ClusterError> {
    let malformed =
        |error: serde_yaml::Error| ClusterError::malformed(path.display().to_string(), error);
    let mut kustomization: Mapping = serde_yaml::from_str(text).map_err(malformed)?;
    let entries = kustomization
        .get_mut("images")
        .and_then(Value::as_sequence_mut);
    let pinned = image.digest().map(|digest| digest.to_string());
    for entry in entries
        .into_iter()
        .flatten()
        .filter_map(Value::as_mapping_mut)
    {
        if entry.get("digest").and_then(Value::as_str) == pinned.as_deref() {
            let name = format!("{}/{}", to.registry(), to.repository());
            entry.insert("newName".into(), name.into());
            let digest = to.digest().map(|digest| digest.to_string());
            entry.insert("digest".into(), digest.unwrap_or_default().into());
        }
    }
    serde_yaml::to_string(&kustomization).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use oci::Digest;

    use super::*;
    use crate::{Changes, Staged};

    #[test]
    fn every_image_in_the_cluster_comes_from_the_given_registry() {
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests");
        let staged = Staged::new(&manifests, &[], &Changes::default()).unwrap();
        let moved = pins::read(&staged.manifests()).unwrap();
        let moved = moved.iter().flat_map(|file| file.images().to_vec());
        let moved = moved.map(|image| {
            let digest = Digest::of(image.to_string().as_bytes());
            let to = format!("registry:5000/team/{}@{digest}", image.repository());
            (image, to.parse().unwrap())
        });
        let moved: BTreeMap<Reference, Reference> = moved.collect();
        assert!(moved.len() > 10);
        relocate(&staged.manifests(), &moved).unwrap();
        let mut beside = 0;
        for file in pins::read(&staged.manifests()).unwrap() {
            for image in file.images() {
                if is_of_engine(file.path()) {
                    assert!(image.digest().is_none() && image.tag().is_some(), "{image}");
                    beside += 1;
                } else {
                    assert_eq!(image.registry(), "registry:5000", "{image}");
                    assert!(moved.values().any(|to| to.digest() == image.digest()));
                }
            }
        }
        assert_eq!(beside, 2);
    }

    #[test]
    fn an_image_that_the_bundle_lacks_is_named() {
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests");
        let staged = Staged::new(&manifests, &[], &Changes::default()).unwrap();
        let error = relocate(&staged.manifests(), &BTreeMap::new()).unwrap_err();
        let told = error.to_string();
        assert!(
            told.contains("the bundle does not have its image"),
            "{told}"
        );
    }
}
