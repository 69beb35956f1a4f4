//! The images that the manifests pin, where they pin them, and the same manifests with other digests.
//!
//! A tag says what somebody wants to run, the digest beside it what runs. Files are read as YAML to learn what they pin and
//! changed as text: comments and everything else that a person wrote stay as they are.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use lab::{LabError, write_atomically};
use oci::{Digest, Reference};
use serde::Deserialize as _;
use serde_yaml::Value;

use crate::{ClusterError, images};

/// A file that pins images.
#[derive(Debug)]
pub struct PinningFile {
    path: PathBuf,
    text: String,
    images: Vec<Reference>,
}

impl PinningFile {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it pins, in the order of the text. An image that stands there without tag or digest is among them.
    pub fn images(&self) -> &[Reference] {
        &self.images
    }

    /// Its text with these digests, by what is pinned now; `None` where they are the same.
    fn with(&self, digests: &BTreeMap<Reference, Digest>) -> Result<Option<String>, ClusterError> {
        let mut text = String::with_capacity(self.text.len());
        let mut rest = self.text.as_str();
        let mut wanted = self.images.clone();
        for image in &mut wanted {
            let Some(pinned) = image.digest() else {
                continue;
            };
            let digest = digests.get(image).copied().unwrap_or(pinned);
            let (before, after) = rest
                .split_once(&pinned.to_string())
                .ok_or_else(|| self.unclear())?;
            text.push_str(before);
            text.push_str(&digest.to_string());
            rest = after;
            *image = image.with_digest(digest);
        }
        text.push_str(rest);
        if text == self.text {
            return Ok(None);
        }
        if pinned_by(&self.path, &text)? != wanted {
            return Err(self.unclear());
        }
        Ok(Some(text))
    }

    fn unclear(&self) -> ClusterError {
        ClusterError::malformed(
            self.path.display().to_string(),
            "a digest stands elsewhere than where it pins an image, as in a comment or behind an alias",
        )
    }
}

/// Every file under `manifests` that names an image which is not the lab's own, in the order of their paths.
///
/// # Errors
/// When a file cannot be read, is no YAML or names an image malformedly.
pub fn read(manifests: &Path) -> Result<Vec<PinningFile>, ClusterError> {
    let mut files = Vec::new();
    collect(manifests, &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

/// Writes these digests, by what is pinned now, into the files. Each is written whole or not at all, and the first only
/// when the text of every one is made. Returns how many were written.
///
/// # Errors
/// When a file cannot be changed.
pub fn write(
    files: &[PinningFile],
    digests: &BTreeMap<Reference, Digest>,
) -> Result<usize, ClusterError> {
    let mut texts = Vec::new();
    for file in files {
        if let Some(text) = file.with(digests)? {
            texts.push((&file.path, text));
        }
    }
    for (written, (path, text)) in texts.iter().enumerate() {
        let mode = fs::metadata(path).map_err(LabError::file("read", *path));
        mode.and_then(|metadata| {
            write_atomically(path, text.as_bytes(), metadata.permissions().mode())
        })
        .map_err(|source| ClusterError::NotWritten {
            written,
            all: texts.len(),
            source,
        })?;
    }
    Ok(texts.len())
}

fn collect(directory: &Path, files: &mut Vec<PinningFile>) -> Result<(), ClusterError> {
    let read = LabError::file("read", directory);
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    for entry in entries.map_err(read)? {
        let path = entry.path();
        // Upstream's installation names images that kustomize replaces.
        if path.ends_with("argocd/install.yaml") {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let text = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
            let images = pinned_by(&path, &text)?;
            if !images.is_empty() {
                files.push(PinningFile { path, text, images });
            }
        }
    }
    Ok(())
}

/// The images that a file names, in the order of its text.
fn pinned_by(path: &Path, text: &str) -> Result<Vec<Reference>, ClusterError> {
    let malformed = |reason: String| ClusterError::malformed(path.display().to_string(), reason);
    let mut names = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let document =
            Value::deserialize(document).map_err(|error| malformed(error.to_string()))?;
        if path.ends_with("kustomization.yaml") {
            let images = document.get("images").and_then(Value::as_sequence);
            names.extend(images.into_iter().flatten().filter_map(kustomized));
        } else {
            named(&document, &mut names);
        }
    }
    let is_own = |name: &String| images::OWN.iter().any(|own| *name == format!("lab/{own}"));
    names.retain(|name| !is_own(name));
    let parse = |name: &String| {
        name.parse()
            .map_err(|error: oci::OciError| malformed(error.to_string()))
    };
    names.iter().map(parse).collect()
}

/// The values of `image`, at whatever depth.
fn named(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Mapping(mapping) => {
            for (key, value) in mapping {
                match value.as_str() {
                    Some(name) if key.as_str() == Some("image") => names.push(name.to_owned()),
                    _ => named(value, names),
                }
            }
        }
        Value::Sequence(values) => values.iter().for_each(|value| named(value, names)),
        _ => {}
    }
}

/// An entry of `images` (kustomize reference, "images").
fn kustomized(entry: &Value) -> Option<String> {
    let field = |key: &str| entry.get(key).and_then(Value::as_str);
    let mut name = field("newName").or(field("name"))?.to_owned();
    for (separator, key) in [(':', "newTag"), ('@', "digest")] {
        if let Some(part) = field(key) {
            name.push(separator);
            name.push_str(part);
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const NEW: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn file(name: &str, text: &str) -> PinningFile {
        PinningFile {
            path: name.into(),
            text: text.to_owned(),
            images: pinned_by(Path::new(name), text).unwrap(),
        }
    }

    /// The text with `image` moved from the old digest to the new one.
    fn moved(file: &PinningFile, image: &str) -> Result<Option<String>, ClusterError> {
        let image = format!("{image}@{OLD}").parse().unwrap();
        file.with(&[(image, NEW.parse().unwrap())].into())
    }

    #[test]
    fn the_digest_alone_changes_wherever_the_image_stands() {
        let text = format!(
            "# docker.io/a/b:1 as it was\nspec:\n  containers:\n    - image: \"docker.io/a/b:1@{OLD}\" # why\n    - image: docker.io/a/c:1@{OLD}\n  \
             initContainers: [{{image: docker.io/a/b:1@{OLD}}}]\n---\nimage: lab/producer\n"
        );
        let file = file("deployment.yaml", &text);
        assert_eq!(file.images().len(), 3);
        let expected = text.replace(&format!("b:1@{OLD}"), &format!("b:1@{NEW}"));
        assert_eq!(moved(&file, "docker.io/a/b:1").unwrap(), Some(expected));
        assert_eq!(moved(&file, "docker.io/a/d:1").unwrap(), None);
    }

    #[test]
    fn a_kustomization_pins_by_fields_of_any_order() {
        let text = format!(
            "images:\n  - name: docker.io/a/b\n    newTag: v1\n    digest: {OLD}\n  - digest: {OLD}\n    name: x\n    newName: \
             quay.io/a/c\n    newTag: v2\n"
        );
        let file = file("argocd/kustomization.yaml", &text);
        let expected = text.replace(&format!("- digest: {OLD}"), &format!("- digest: {NEW}"));
        assert_eq!(moved(&file, "quay.io/a/c:v2").unwrap(), Some(expected));
    }

    #[test]
    fn a_digest_that_stands_elsewhere_is_not_guessed_at() {
        for text in [
            format!("# not {OLD}\nimage: docker.io/a/b:1@{OLD}\n"),
            format!("a: &b docker.io/a/b:1@{OLD}\nimage: *b\nother: {{image: *b}}\n"),
        ] {
            let error = moved(&file("x.yaml", &text), "docker.io/a/b:1").unwrap_err();
            assert!(error.to_string().contains("x.yaml is malformed"), "{error}");
        }
    }

    #[test]
    fn this_repositorys_images_are_all_pinned() {
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests");
        let files = read(&manifests).unwrap();
        let images: Vec<_> = files.iter().flat_map(PinningFile::images).collect();
        assert!(images.len() > 15, "{images:?}");
        for image in &images {
            assert!(image.tag().is_some() && image.digest().is_some(), "{image}");
        }
        for file in [
            "argocd/kustomization.yaml",
            "overlays/kind/cluster.yaml",
            "overlays/kind/registry.yaml",
        ] {
            assert!(
                files.iter().any(|found| found.path().ends_with(file)),
                "{file}"
            );
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_and_stays_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let texts = ["a.yaml", "b.yaml"].map(|name| {
            let text = format!("image: docker.io/a/b:1@{OLD}\n");
            fs::write(directory.path().join(name), &text).unwrap();
            text
        });
        // A directory stands where the new file would be made.
        let staged = format!("b.yaml.{}.new", std::process::id());
        fs::create_dir(directory.path().join(staged)).unwrap();
        let image = format!("docker.io/a/b:1@{OLD}").parse().unwrap();
        let digests = [(image, NEW.parse().unwrap())].into();
        let error = write(&read(directory.path()).unwrap(), &digests).unwrap_err();
        assert_eq!(error.to_string(), "1 of 2 files could be changed");
        assert!(error.hint().is_some());
        let left = fs::read_to_string(directory.path().join("b.yaml")).unwrap();
        assert_eq!(left, texts[1]);
    }
}
