//! The images that manifests pin, as small ones in a registry of the test's own, and the manifests with those in their places.

use std::{collections::BTreeMap, fs, path::Path};

use cluster::pins::{self, PinningFile};
use oci::{
    Layout, Reference, Settings,
    manifest::{CONFIG, Descriptor, INDEX, Index, LAYER_GZIP, MANIFEST, Manifest, Platform},
};

use crate::registry::Registry;

/// Pushes an index of two platforms for every pinned image, and pins that one instead.
///
/// # Panics
/// When the registry refuses, or a file cannot be written.
pub async fn publish(server: &Registry, manifests: &Path) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let layout = Layout::create(folder.path()).expect("a layout");
    let client = oci::Registry::new(Settings::default());
    let files = pins::read(manifests).expect("manifests");
    let mut moved: BTreeMap<Reference, Reference> = BTreeMap::new();
    for image in files.iter().flat_map(PinningFile::images) {
        if moved.contains_key(image) {
            continue;
        }
        let index = index(&layout, &image.to_string());
        let tag = image.tag().expect("a pinned image has a tag");
        let place = format!("{}/{}:{tag}", server.address(), image.repository());
        let place: Reference = place.parse().expect("a reference");
        client
            .push_image(&layout, &index, &place)
            .await
            .expect("a registry that takes images");
        moved.insert(image.clone(), place.with_digest(index.digest));
    }
    for file in files {
        let mut text = fs::read_to_string(file.path()).expect("a readable file");
        for image in file.images() {
            let to = &moved[image];
            let digests = [image, to].map(|image| image.digest().expect("a digest").to_string());
            let [pinned, digest] = digests;
            text = if file.path().ends_with("kustomization.yaml") {
                let entry = format!(
                    "newName: {}/{}\n    digest: {digest}",
                    to.registry(),
                    to.repository()
                );
                text.replace(&format!("digest: {pinned}"), &entry)
            } else {
                text.replace(&image.to_string(), &to.to_string())
            };
        }
        fs::write(file.path(), text).expect("a writable file");
    }
}

/// An image for this machine's platform and one for another, both told apart by their layers.
fn index(layout: &Layout, name: &str) -> Descriptor {
    let add = |media_type: &str, content: &str| {
        layout
            .add(media_type, content.as_bytes())
            .expect("a writable folder")
    };
    let platforms = [Platform::host(), Platform::linux("s390x")];
    let manifests = platforms.map(|platform| {
        let layers = [format!("{name} for {platform}"), "shared by all".to_owned()];
        let layers = layers.iter().map(|layer| add(LAYER_GZIP, layer));
        let config = format!(
            r#"{{"os":"linux","architecture":"{}"}}"#,
            platform.architecture
        );
        let manifest = Manifest::new(add(CONFIG, &config), layers.collect());
        let manifest = serde_json::to_string(&manifest).expect("JSON");
        let mut manifest = add(MANIFEST, &manifest);
        manifest.platform = Some(platform);
        manifest
    });
    let index = serde_json::to_string(&Index::new(manifests.to_vec())).expect("JSON");
    add(INDEX, &index)
}
