//! An installation of the lab as its programs find it: the manifests, and the two images.
//!
//! In the place of Argo CD's own installation, which is two megabytes and is not in the repository, stands a small one with
//! the objects that the lab's manifests build upon.

use std::{fs, path::Path};

use oci::{
    Layout,
    manifest::{CONFIG, LAYER_GZIP, MANIFEST, Manifest},
};
use sha2::{Digest as _, Sha256};

use crate::config;

const ARGO_CD: &str = include_str!("argo_cd.yaml");

pub(super) fn make(root: &Path) {
    let manifests = root.join("manifests");
    for file in config::files("") {
        // A checkout may have upstream's own beside it.
        if file == "argocd/install.yaml" {
            continue;
        }
        let to = manifests.join(&file);
        fs::create_dir_all(to.parent().expect("a directory")).expect("a writable folder");
        fs::copy(config::manifests().join(&file), to).expect("a readable file");
    }
    fs::write(manifests.join("argocd/install.yaml"), ARGO_CD).expect("a writable folder");
    pin(
        &manifests,
        "http://127.0.0.1:1/install.yaml",
        &sha256(ARGO_CD.as_bytes()),
    );
    let layout = Layout::create(&root.join("images")).expect("a layout");
    for component in ["producer", "consumer"] {
        let add = |kind: &str, content: &str| layout.add(kind, content.as_bytes()).expect("a blob");
        let config = add(CONFIG, r#"{"architecture":"amd64","os":"linux"}"#);
        let manifest = Manifest::new(config, vec![add(LAYER_GZIP, component)]);
        let manifest = serde_json::to_string(&manifest).expect("JSON");
        let image = add(MANIFEST, &manifest);
        layout
            .set_image(&format!("lab/{component}"), image)
            .expect("a layout");
    }
}

/// Pins another installation of Argo CD.
///
/// # Panics
/// When the file cannot be written.
pub fn pin(manifests: &Path, url: &str, sha256: &str) {
    let text = format!("version: v1\nurl: {url}\nsha256: {sha256}\n");
    fs::write(manifests.join("argocd/upstream.yaml"), text).expect("a writable folder");
}

/// The SHA-256 of a content, in hexadecimal digits.
pub fn sha256(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
