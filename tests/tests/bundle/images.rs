//! Images that are quickly made, a registry that has them, and what a test asks about a bundle of them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use lab_tests::{registry::Registry as Server, wait};
use oci::{
    Bundle, BundleRecipe, Digest, ImageSource as _, Layout, LocalImage, Meter, Moved, OciError,
    Reference, Registry, Settings,
    manifest::{CONFIG, Descriptor, INDEX, Index, LAYER_GZIP, MANIFEST, Manifest, Platform},
};
use tempfile::TempDir;

const BUNDLE: &str = "lab.tar.zst";

const UNFINISHED: &str = ".unfinished-lab.tar.zst";

/// Bytes that do not get smaller: as many for each seed, and others.
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}

pub fn client() -> Registry {
    Registry::new(Settings::default())
}

pub fn reference(server: &Server, name: &str) -> Reference {
    format!("{}/{name}", server.address()).parse().unwrap()
}

/// Puts a blob into a layout without waiting for the disk.
fn put(layout: &Layout, media_type: &str, content: &[u8]) -> Descriptor {
    let blob = Descriptor::of(media_type, content);
    let path = layout.root().join("blobs/sha256").join(blob.digest.hex());
    fs::write(path, content).unwrap();
    blob
}

/// An image of these layers, with a configuration that no other one has.
pub fn image(layout: &Layout, architecture: &str, layers: &[&[u8]]) -> Descriptor {
    let layers: Vec<_> = layers
        .iter()
        .map(|content| put(layout, LAYER_GZIP, content))
        .collect();
    let digests: Vec<_> = layers
        .iter()
        .map(|layer| layer.digest.to_string())
        .collect();
    let config = serde_json::json!({
        "architecture": architecture,
        "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": digests },
    });
    let config = put(layout, CONFIG, config.to_string().as_bytes());
    let manifest = serde_json::to_vec(&Manifest::new(config, layers)).unwrap();
    Descriptor {
        platform: Some(Platform::linux(architecture)),
        ..put(layout, MANIFEST, &manifest)
    }
}

/// An index of images.
pub fn index(layout: &Layout, images: &[&Descriptor]) -> Descriptor {
    let images = images.iter().map(|image| (*image).clone()).collect();
    let index = serde_json::to_vec(&Index::new(images)).unwrap();
    put(layout, INDEX, &index)
}

/// A registry with images, each known by its digest.
pub struct Upstream {
    pub server: Server,
    pub images: Vec<Reference>,
}

impl Upstream {
    /// Pushes what `made` makes in a layout, by name.
    pub async fn of(
        server: Server,
        made: impl Fn(&Layout) -> Vec<(&'static str, Descriptor)>,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::create(directory.path()).unwrap();
        let mut images = Vec::new();
        for (name, image) in made(&layout) {
            let reference = reference(&server, name);
            let moved = client().push_image(&layout, &image, &reference).await;
            images.push(reference.with_digest(moved.unwrap().digest));
        }
        Self { server, images }
    }

    /// One image of one layer.
    pub async fn with_layer(server: Server, layer: &[u8]) -> Self {
        Self::of(server, |layout| {
            vec![("team/one:1", image(layout, "amd64", &[layer]))]
        })
        .await
    }

    pub fn recipe(&self, platform: Option<&str>) -> BundleRecipe {
        BundleRecipe {
            remote: self.images.iter().cloned().collect(),
            local: Vec::new(),
            platform: platform.map(|platform| platform.parse().unwrap()),
        }
    }
}

/// A directory, and a bundle that is made in it.
pub struct Workshop {
    directory: TempDir,
}

impl Workshop {
    pub fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub fn target(&self) -> PathBuf {
        self.directory.path().join(BUNDLE)
    }

    /// What stands there until the bundle is whole.
    pub fn unfinished(&self) -> PathBuf {
        self.directory.path().join(UNFINISHED)
    }

    pub async fn create(&self, recipe: &BundleRecipe, meter: &Meter) -> Result<Digest, OciError> {
        Bundle::create(&client(), recipe, &self.target(), meter).await
    }

    /// Makes the bundle and opens it.
    pub async fn bundle(&self, recipe: &BundleRecipe) -> Arc<Bundle> {
        let digest = self.create(recipe, &Meter::default()).await.unwrap();
        let bundle = open(&self.target());
        assert_eq!(bundle.digest(), digest);
        bundle
    }

    pub fn bytes(&self) -> Vec<u8> {
        fs::read(self.target()).unwrap()
    }

    /// Demands that no bundle is there, nor what looks like one to a reader.
    pub fn has_no_bundle(&self) {
        for name in names(self.directory.path()) {
            assert_eq!(name, UNFINISHED);
            Bundle::open(&self.unfinished()).unwrap_err();
        }
    }

    /// Demands that there is a bundle and nothing else.
    pub fn has_nothing_unfinished(&self) {
        assert_eq!(names(self.directory.path()), [BUNDLE]);
    }
}

/// The requests with these words as soon as the registry's log has so many: it writes after it has answered.
pub async fn logged(server: &Server, words: &str, count: usize) -> Vec<String> {
    wait::until("the registry's log", async || {
        let mut requests = server.requests();
        requests.retain(|request| request.contains(words));
        match requests.len() == count {
            true => Ok(requests),
            false => Err(format!("{requests:?}")),
        }
    })
    .await
}

pub fn open(path: &Path) -> Arc<Bundle> {
    Arc::new(Bundle::open(path).unwrap())
}

/// The names in a directory.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// An image of this machine under a name.
pub fn local(layout: &Layout, name: &str, descriptor: Descriptor) -> LocalImage {
    LocalImage {
        name: name.to_owned(),
        source: Arc::new(layout.clone()),
        descriptor,
    }
}

/// Each image of a bundle with its place in a registry, under `below` and without its digest.
pub fn places(bundle: &Bundle, server: &Server, below: &str) -> Vec<(Descriptor, Reference)> {
    let images = bundle.images().unwrap();
    let places = images.iter().map(|image| {
        let name: Reference = image.name.as_ref().unwrap().parse().unwrap();
        let place = format!("{below}/{}:{}", name.repository(), name.tag().unwrap());
        (bundle.loaded(image).unwrap(), reference(server, &place))
    });
    places.collect()
}

pub async fn load(
    bundle: &Arc<Bundle>,
    places: &[(Descriptor, Reference)],
) -> Result<Vec<Moved>, OciError> {
    bundle.load(&client(), places, &Meter::default()).await
}

/// Demands that none of the places names anything.
pub async fn nothing_is_named(places: &[(Descriptor, Reference)]) {
    for (_, place) in places {
        let error = client().resolve(place).await.unwrap_err();
        assert!(matches!(error, OciError::NotFound { .. }), "{error}");
    }
}

/// The digests of an image's layers, in a layout or bundle.
pub fn layers(source: &dyn oci::ImageSource, image: &Descriptor) -> BTreeSet<Digest> {
    let blobs = source.parts(image).unwrap().blobs.into_iter();
    blobs
        .filter(|blob| blob.media_type == LAYER_GZIP)
        .map(|blob| blob.digest)
        .collect()
}
