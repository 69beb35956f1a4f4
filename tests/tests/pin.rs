//! `images pin` against a real registry: what has moved is said, and written only when every image has an answer.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use cluster::pins::{self, PinningFile};
use lab_tests::{
    command_line::{Said, program, said},
    config,
    registry::Registry as Server,
};
use oci::{Artifact, Reference, Registry, Settings};
use tempfile::TempDir;

/// The manifests of this repository, with every image at a registry of the test's own.
struct Manifests {
    server: Server,
    root: TempDir,
}

impl Manifests {
    fn new(test: &str) -> Option<Self> {
        let server = Server::start(test)?;
        let root = tempfile::tempdir().unwrap();
        config::copy_with_images_at(&server.address(), &root.path().join("manifests"));
        Some(Self { server, root })
    }

    fn path(&self) -> std::path::PathBuf {
        self.root.path().join("manifests")
    }

    fn images(&self) -> Vec<Reference> {
        let files = pins::read(&self.path()).unwrap();
        let images = files.iter().flat_map(PinningFile::images).cloned();
        let mut images: Vec<_> = images.collect();
        images.sort();
        images.dedup();
        images
    }

    /// Every file with its text.
    fn texts(&self) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        collect(&self.path(), &mut texts);
        texts
    }

    fn pin(&self, arguments: &[&str]) -> Said {
        let mut command = Command::new(program("lab-cluster"));
        command
            .args(["images", "pin", "--root"])
            .arg(self.root.path())
            .args(arguments)
            .env_remove("LAB_NAME");
        said(command)
    }
}

fn collect(directory: &Path, texts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, texts);
        } else {
            texts.insert(
                path.display().to_string(),
                fs::read_to_string(&path).unwrap(),
            );
        }
    }
}

/// Pushes something else than before to the image's tag.
async fn push(image: &Reference, content: &str) {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("content"), content).unwrap();
    let artifact = Artifact::pack(directory.path()).unwrap();
    Registry::new(Settings::default())
        .push_artifact(&artifact, &image.by_tag().unwrap())
        .await
        .unwrap();
}

/// The text without its digests.
fn but_digests(text: &str) -> String {
    let digest = regex::Regex::new("sha256:[0-9a-f]{64}").unwrap();
    digest.replace_all(text, "DIGEST").into_owned()
}

/// The table's states, as often as each stands there.
fn states(said: &Said) -> BTreeMap<&str, usize> {
    let mut states = BTreeMap::new();
    for line in said.stdout.lines().skip(1) {
        *states
            .entry(line.split_whitespace().last().unwrap())
            .or_default() += 1;
    }
    states
}

#[tokio::test]
async fn moved_tags_are_told_and_their_digests_written() {
    let Some(manifests) = Manifests::new("moved_tags_are_told_and_their_digests_written") else {
        return;
    };
    let images = manifests.images();
    for image in &images {
        push(image, &image.to_string()).await;
    }
    let (before, all) = (manifests.texts(), images.len());
    let said = manifests.pin(&[]).with_code(0);
    assert_eq!(states(&said), [("moved", all)].into(), "{said:?}");
    let count = format!("{all} of {all} images would change.");
    assert!(said.stderr.starts_with(&count), "{said:?}");
    assert_eq!(manifests.texts(), before);

    manifests.pin(&["--write"]).with_code(0);
    let written = manifests.texts();
    assert_ne!(written, before);
    for (path, text) in &written {
        assert_eq!(but_digests(text), but_digests(&before[path]), "{path}");
    }
    let client = Registry::new(Settings::default());
    for image in manifests.images() {
        let now = client.resolve(&image.by_tag().unwrap()).await.unwrap();
        assert_eq!(image.digest(), Some(now), "{image}");
    }

    let said = manifests.pin(&["--write"]).with_code(0);
    assert_eq!(states(&said), [("unchanged", all)].into(), "{said:?}");
    assert_eq!(manifests.texts(), written);
}

#[tokio::test]
async fn one_image_without_an_answer_keeps_the_others_from_being_written() {
    let test = "one_image_without_an_answer_keeps_the_others_from_being_written";
    let Some(mut manifests) = Manifests::new(test) else {
        return;
    };
    let images = manifests.images();
    let (gone, there) = images.split_first().unwrap();
    for image in there {
        push(image, &image.to_string()).await;
    }
    let untagged = manifests.path().join("untagged.yaml");
    let image = gone.by_digest(gone.digest().unwrap());
    fs::write(&untagged, format!("image: {image}\n")).unwrap();
    let before = manifests.texts();
    for arguments in [&[][..], &["--write"]] {
        let said = manifests.pin(arguments).with_code(1);
        let expected = [("moved", there.len()), ("gone", 1), ("tag", 1)];
        assert_eq!(states(&said), expected.into(), "{said:?}");
        for words in [
            &format!("error: {}", gone.by_tag().unwrap()),
            &format!("the image {image} has no tag"),
            "hint: check repository and tag",
            "hint: write it as registry/repository:tag",
            &format!("2 of {} images have no digest", images.len() + 1),
        ] {
            assert!(said.stderr.contains(words), "{words}: {said:?}");
        }
        let tells = said.stderr.contains("nothing is written");
        assert_eq!(tells, !arguments.is_empty(), "{said:?}");
        assert_eq!(manifests.texts(), before);
    }

    fs::remove_file(&untagged).unwrap();
    manifests.server.end();
    let said = manifests.pin(&["--write"]).with_code(1);
    assert_eq!(
        states(&said),
        [("unreachable", images.len())].into(),
        "{said:?}"
    );
    // The registry once, with all of its images, and the command.
    assert_eq!(said.stderr.matches("error: ").count(), 2, "{said:?}");
}

#[test]
fn a_manifest_that_is_no_yaml_is_named() {
    let Some(manifests) = Manifests::new("a_manifest_that_is_no_yaml_is_named") else {
        return;
    };
    fs::write(manifests.path().join("broken.yaml"), "image: [").unwrap();
    let said = manifests.pin(&[]).with_code(1);
    assert!(said.stderr.contains("broken.yaml is malformed"), "{said:?}");
    assert_eq!(said.stdout, "");
}
