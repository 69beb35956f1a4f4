//! The images that are moved: a few bases, a few runtimes upon them, and a layer of each image's own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use flate2::{Compression, write::GzEncoder};
use oci::{
    BlobWriter, Digest, Hasher, ImageSource as _, Layout, Reference, Registry, Settings,
    manifest::{CONFIG, Descriptor, LAYER_GZIP, MANIFEST, Manifest, Platform},
};

use crate::server::Server;

/// How many images there are.
const IMAGES: usize = 20;

/// The layers that images share, as parts of a thousand of all bytes; the rest is the images' own.
const BASES: [u64; 4] = [60; 4];
const RUNTIMES: [u64; 5] = [40; 5];

/// The images' repository in every registry, and their tag.
pub(crate) const REPOSITORY: &str = "bench";
pub(crate) const TAG: &str = "1";

/// The images, in a layout.
pub(crate) struct Images {
    pub(crate) layout: Layout,
    /// A layout for each image with nothing else in it, which is what `crane push` takes.
    pub(crate) apart: PathBuf,
    /// A bundle of all of them, which `bundle load` takes.
    pub(crate) bundle: PathBuf,
    pub(crate) names: BTreeMap<String, Digest>,
    /// Manifests, configurations and layers.
    pub(crate) blobs: BTreeSet<Digest>,
    pub(crate) bytes: u64,
}

/// A layer with the digest of what it is when decompressed.
#[derive(Clone)]
struct Layer {
    descriptor: Descriptor,
    diff_id: Digest,
}

impl Images {
    /// Makes the images, the same for the same size.
    pub(crate) fn make(directory: &Path, bytes: u64) -> anyhow::Result<Self> {
        let layout = Layout::create(&directory.join("together"))?;
        let mut images = Self {
            layout,
            apart: directory.join("apart"),
            bundle: directory.join("bundle.tar.zst"),
            names: BTreeMap::new(),
            blobs: BTreeSet::new(),
            bytes: 0,
        };
        let mut shared = Vec::new();
        for part in BASES.iter().chain(&RUNTIMES) {
            let layer = images.layer(shared.len(), bytes * part / 1000)?;
            shared.push(layer);
        }
        let (bases, runtimes) = shared.split_at(BASES.len());
        let rest =
            bytes - bytes * (BASES.iter().sum::<u64>() + RUNTIMES.iter().sum::<u64>()) / 1000;
        // Of five sizes, the largest five times the smallest.
        let size = |number: usize| number as u64 % 5 + 1;
        let parts: u64 = (0..IMAGES).map(size).sum();
        for number in 0..IMAGES {
            let own = images.layer(shared.len() + number, rest * size(number) / parts)?;
            let base = bases[number % bases.len()].clone();
            let runtime = runtimes[number % runtimes.len()].clone();
            images.image(&format!("image-{number:02}"), [base, runtime, own])?;
        }
        Ok(images)
    }

    /// Pushes all of them.
    pub(crate) async fn push(&self, server: &Server) -> anyhow::Result<()> {
        let registry = Registry::new(Settings::default());
        for name in self.names.keys() {
            let image = self.layout.image(name)?;
            let reference = reference(server.address(), name)?;
            registry
                .push_image(&self.layout, &image, &reference)
                .await
                .with_context(|| format!("cannot push {reference}"))?;
        }
        Ok(())
    }

    /// A layer of random bytes, which gzip keeps as they are: a layer that compresses well would measure gzip.
    fn layer(&mut self, seed: usize, bytes: u64) -> anyhow::Result<Layer> {
        let mut random = fastrand::Rng::with_seed(seed as u64);
        let mut plain = Hasher::default();
        let mut gzip = GzEncoder::new(Blob(self.layout.new_blob()?), Compression::none());
        let mut buffer = vec![0; 1 << 20];
        let mut left = bytes as usize;
        while left > 0 {
            let piece = &mut buffer[..left.min(1 << 20)];
            random.fill(piece);
            plain.update(piece);
            gzip.write_all(piece).context("cannot make a layer")?;
            left -= piece.len();
        }
        let Blob(blob) = gzip.finish().context("cannot make a layer")?;
        let (digest, size) = blob.finish("a layer")?;
        Ok(Layer {
            descriptor: self.count(Descriptor::new(LAYER_GZIP, digest, size)),
            diff_id: plain.finish(),
        })
    }

    fn image(&mut self, name: &str, layers: [Layer; 3]) -> anyhow::Result<()> {
        let platform = Platform::host();
        let config = serde_json::to_vec(&serde_json::json!({
            "architecture": platform.architecture,
            "os": platform.os,
            "config": { "Labels": { "name": name } },
            "rootfs": { "type": "layers", "diff_ids": layers.each_ref().map(|layer| layer.diff_id) },
        }))?;
        let config = self.layout.add(CONFIG, &config)?;
        let layers = layers.map(|layer| layer.descriptor);
        let manifest = Manifest::new(self.count(config), layers.to_vec());
        let image = self.layout.add(MANIFEST, &serde_json::to_vec(&manifest)?)?;
        self.layout.set_image(name, image.clone())?;
        self.names.insert(name.to_owned(), image.digest);

        let apart = Layout::create(&self.apart.join(name))?;
        let blobs = manifest.layers.iter().chain([&manifest.config, &image]);
        for blob in blobs.map(|blob| Path::new("blobs/sha256").join(blob.digest.hex())) {
            fs::hard_link(self.layout.root().join(&blob), apart.root().join(&blob))
                .context("cannot link a blob")?;
        }
        apart.set_image(name, self.count(image))?;
        Ok(())
    }

    fn count(&mut self, blob: Descriptor) -> Descriptor {
        if self.blobs.insert(blob.digest) {
            self.bytes += blob.size;
        }
        blob
    }
}

/// An image's name in a registry.
pub(crate) fn reference(registry: &str, name: &str) -> anyhow::Result<Reference> {
    Ok(format!("{registry}/{REPOSITORY}/{name}:{TAG}").parse()?)
}

/// A blob as what compressors write to.
struct Blob(BlobWriter);

impl Write for Blob {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.push(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
