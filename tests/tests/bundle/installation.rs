//! An installation of the lab whose images are small and lie in a registry of the test's own.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use cluster::pins;
use lab_tests::{
    command_line::{Said, program, said},
    config,
    registry::Registry as Server,
};
use oci::{Digest, Layout, Reference};
use tempfile::TempDir;

use crate::images::{client, image, index, noise};

/// How many images have a layer of their own; the others have one of theirs.
pub const LAYERS: usize = 4;

/// What stands in for upstream's installation of Argo CD.
const ARGO_CD: &[u8] = b"kind: List\n";

/// A directory with `manifests/` and `images/`, a registry with what the manifests name, and a place for bundles.
pub struct Installation {
    pub server: Server,
    root: TempDir,
    /// What the manifests name.
    pub images: Vec<Reference>,
}

impl Installation {
    /// Makes one whose manifests name the registry by its own address, with layers of this size.
    pub async fn new(test: &str, layer_bytes: usize) -> Option<Self> {
        let server = Server::start(test)?;
        let address = server.address();
        Some(Self::behind(server, &address, layer_bytes).await)
    }

    /// Makes one whose manifests name the registry by another address.
    pub async fn behind(server: Server, address: &str, layer_bytes: usize) -> Self {
        let root = tempfile::tempdir().unwrap();
        let manifests = root.path().join("manifests");
        config::copy_with_images_at(address, &manifests);
        install_argo_cd(&manifests);
        let images = fill(&manifests, layer_bytes).await;
        let layout = Layout::create(&root.path().join("images")).unwrap();
        for name in ["lab/producer", "lab/consumer"] {
            let own = image(&layout, "amd64", &[name.as_bytes()]);
            layout.set_image(name, own).unwrap();
        }
        fs::create_dir(root.path().join("out")).unwrap();
        Self {
            server,
            root,
            images,
        }
    }

    pub fn manifests(&self) -> PathBuf {
        self.root.path().join("manifests")
    }

    /// A file in the directory of bundles.
    pub fn out(&self, name: &str) -> PathBuf {
        self.root.path().join("out").join(name)
    }

    /// `bundle create` with this state directory.
    pub fn create(&self, state: &str, output: &Path) -> Command {
        let mut command = Command::new(program("lab-cluster"));
        command
            .args(["bundle", "create", "--root"])
            .arg(self.root.path())
            .arg("--state")
            .arg(self.root.path().join(state))
            .arg("--output")
            .arg(output)
            .env_remove("LAB_NAME");
        command
    }

    /// Runs `bundle create` to its end.
    pub fn created(&self, state: &str, name: &str) -> Said {
        said(self.create(state, &self.out(name)))
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.out(name)).unwrap()
    }
}

fn install_argo_cd(manifests: &Path) {
    let upstream = manifests.join("argocd/upstream.yaml");
    let text = fs::read_to_string(&upstream).unwrap();
    let (before, _) = text.split_once("sha256: ").unwrap();
    let pinned = format!("{before}sha256: {}\n", Digest::of(ARGO_CD).hex());
    fs::write(upstream, pinned).unwrap();
    fs::write(manifests.join("argocd/install.yaml"), ARGO_CD).unwrap();
}

/// Pushes an image to every tag that the manifests name, and writes its digest beside it.
async fn fill(manifests: &Path, layer_bytes: usize) -> Vec<Reference> {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let files = pins::read(manifests).unwrap();
    let named = files.iter().flat_map(|file| file.images().to_vec());
    let mut digests = BTreeMap::new();
    for (number, name) in named.enumerate() {
        let seed = (number % LAYERS) as u64;
        let shared = noise(1000, 10_000);
        let of = |architecture: &str, seed: u64| {
            let layer = noise(seed, layer_bytes);
            image(&layout, architecture, &[&shared, &layer])
        };
        // Some are for all machines.
        let made = match seed {
            0 => index(&layout, &[&of("amd64", seed), &of("arm64", seed + 500)]),
            _ => of("amd64", seed),
        };
        let tag = name.by_tag().unwrap();
        let moved = client().push_image(&layout, &made, &tag).await.unwrap();
        digests.insert(name, moved.digest);
    }
    pins::write(&files, &digests).unwrap();
    digests
        .into_iter()
        .map(|(name, digest)| name.with_digest(digest))
        .collect()
}
