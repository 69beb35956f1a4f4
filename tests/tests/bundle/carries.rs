//! What goes into a bundle comes out at another registry, and the same goes in each time.

use std::fs;

use lab_tests::registry::Registry as Server;
use oci::{BundleRecipe, Digest, ImageSource as _, Layout, Meter, OciError, manifest::Descriptor};

use crate::images::{
    Upstream, Workshop, client, image, index, layers, load, local, logged, noise, places,
};

/// Two images of one platform and an index of two, all of which share a layer.
fn family(layout: &Layout) -> Vec<(&'static str, Descriptor)> {
    let shared = noise(0, 100_000);
    let of = |seed: u64, architecture: &str| {
        image(layout, architecture, &[&shared, &noise(seed, 20_000)])
    };
    let both = index(layout, &[&of(3, "arm64"), &of(4, "amd64")]);
    vec![
        ("team/one:1", of(1, "amd64")),
        ("team/two:2", of(2, "amd64")),
        ("team/both:3", both),
    ]
}

#[tokio::test]
async fn a_bundle_of_one_platform_fills_a_registry() {
    // Four layers and three configurations.
    fills(
        "a_bundle_of_one_platform_fills_a_registry",
        Some("linux/amd64"),
        7,
    )
    .await;
}

#[tokio::test]
async fn a_bundle_of_all_platforms_fills_a_registry() {
    fills("a_bundle_of_all_platforms_fills_a_registry", None, 9).await;
}

async fn fills(test: &str, platform: Option<&str>, blobs: usize) {
    let (Some(from), Some(mut to)) = (Server::start(test), Server::start(test)) else {
        return;
    };
    let upstream = Upstream::of(from, family).await;
    let workshop = Workshop::new();
    let bundle = workshop.bundle(&upstream.recipe(platform)).await;
    assert_eq!(bundle.platform(), platform);
    let images = bundle.images().unwrap();
    let index = images
        .iter()
        .find(|image| image.descriptor.is_index())
        .unwrap();
    // The index comes whole or not at all.
    let loaded = bundle.loaded(index).unwrap();
    assert_eq!(loaded == index.descriptor, platform.is_none());

    let places = places(&bundle, &to, "copy");
    let moved = load(&bundle, &places).await.unwrap();
    let count = |moved: &[oci::Moved]| moved.iter().map(|moved| moved.blobs).sum::<usize>();
    assert_eq!(count(&moved), blobs);
    let shared = Digest::of(&noise(0, 100_000));
    let mounts = logged(&to, "mount=", 2).await;
    for mount in &mounts {
        assert!(mount.contains(&shared.hex()), "{mount}");
        assert!(mount.ends_with(" 201"), "{mount}");
    }

    let pulled = tempfile::tempdir().unwrap();
    let pulled = Layout::create(pulled.path()).unwrap();
    for (image, place) in &places {
        assert_eq!(client().resolve(place).await.unwrap(), image.digest);
        client().pull_image(place, &pulled, None).await.unwrap();
        assert!(layers(&pulled, image).contains(&shared));
    }
    pulled.verify().unwrap();

    to.restart();
    let again = load(&bundle, &places).await.unwrap();
    assert_eq!(count(&again), 0);
    logged(&to, "HEAD /v2/copy/", places.len()).await;
    assert_eq!(to.requests().len(), places.len(), "{:?}", to.requests());
}

#[tokio::test]
async fn a_warm_cache_gives_the_same_bytes_without_fetching() {
    let test = "a_warm_cache_gives_the_same_bytes_without_fetching";
    let Some(server) = Server::start(test) else {
        return;
    };
    let mut upstream = Upstream::of(server, family).await;
    let own = tempfile::tempdir().unwrap();
    let own = Layout::create(own.path()).unwrap();
    let locals = ["lab/a:1", "lab/b:1"].map(|name| {
        let layer = noise(name.bytes().map(u64::from).sum(), 10_000);
        local(&own, name, image(&own, "amd64", &[&layer]))
    });
    let recipe = BundleRecipe {
        local: locals.to_vec(),
        ..upstream.recipe(Some("linux/amd64"))
    };
    let reversed = BundleRecipe {
        local: locals.into_iter().rev().collect(),
        ..recipe.clone()
    };
    let (warm, cold) = (Workshop::new(), Workshop::new());
    warm.bundle(&recipe).await;
    let bytes = warm.bytes();
    cold.bundle(&reversed).await;
    assert!(cold.bytes() == bytes, "a cold cache gave other bytes");

    fs::remove_file(warm.target()).unwrap();
    upstream.server.restart();
    warm.bundle(&reversed).await;
    assert!(warm.bytes() == bytes, "a warm cache gave other bytes");
    // Three images, and the one manifest of an index.
    logged(&upstream.server, "/manifests/", 4).await;
    let asked = upstream.server.requests();
    assert_eq!(asked.len(), 4, "{asked:?}");
    warm.has_nothing_unfinished();
}

#[tokio::test]
async fn a_damaged_cache_is_told_once_and_mended() {
    let Some(server) = Server::start("a_damaged_cache_is_told_once_and_mended") else {
        return;
    };
    let layer = noise(1, 100_000);
    let upstream = Upstream::with_layer(server, &layer).await;
    let (workshop, recipe) = (Workshop::new(), upstream.recipe(None));
    workshop.bundle(&recipe).await;
    let bytes = workshop.bytes();
    fs::remove_file(workshop.target()).unwrap();

    let digest = Digest::of(&layer);
    let kept = workshop.cache().root().join("blobs/sha256");
    let mut damaged = layer;
    damaged[50_000] ^= 1;
    fs::write(kept.join(digest.hex()), damaged).unwrap();
    let error = workshop
        .create(&recipe, &Meter::default())
        .await
        .unwrap_err();
    assert!(
        matches!(error, OciError::Mismatch { expected, .. } if expected == digest),
        "{error}"
    );
    assert!(
        error.to_string().contains(kept.to_str().unwrap()),
        "{error}"
    );
    workshop.has_no_bundle();

    workshop.bundle(&recipe).await;
    assert!(workshop.bytes() == bytes, "a mended cache gave other bytes");
}
