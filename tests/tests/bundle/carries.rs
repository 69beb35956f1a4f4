//! What goes into a bundle comes out at another registry, and the same goes in each time.

use std::fs;

use lab_tests::registry::Registry as Server;
use oci::{BundleRecipe, Digest, ImageSource as _, Layout, manifest::Descriptor};

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
async fn a_bundle_that_is_there_gives_the_same_bytes_without_fetching() {
    let test = "a_bundle_that_is_there_gives_the_same_bytes_without_fetching";
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
    let (first, other) = (Workshop::new(), Workshop::new());
    first.bundle(&recipe).await;
    let bytes = first.bytes();
    other.bundle(&reversed).await;
    assert!(other.bytes() == bytes, "another place gave other bytes");

    upstream.server.restart();
    first.bundle(&reversed).await;
    assert!(first.bytes() == bytes, "the second time gave other bytes");
    // Three images, and the one manifest of an index.
    logged(&upstream.server, "/manifests/", 4).await;
    let asked = upstream.server.requests();
    assert_eq!(asked.len(), 4, "{asked:?}");
    first.has_nothing_unfinished();
}

#[tokio::test]
async fn what_another_recipe_s_bundle_has_is_not_fetched() {
    let Some(server) = Server::start("what_another_recipe_s_bundle_has_is_not_fetched") else {
        return;
    };
    let mut upstream = Upstream::of(server, family).await;
    let (workshop, all) = (Workshop::new(), upstream.recipe(Some("linux/amd64")));
    let fewer = BundleRecipe {
        remote: all.remote.iter().skip(1).cloned().collect(),
        ..all.clone()
    };
    workshop.bundle(&fewer).await;
    upstream.server.restart();
    workshop.bundle(&all).await;
    // The layer and the configuration that the others do not share.
    logged(&upstream.server, "/blobs/", 2).await;
    workshop.has_nothing_unfinished();
}

#[tokio::test]
async fn what_is_damaged_in_the_bundle_that_is_there_is_fetched_anew() {
    let test = "what_is_damaged_in_the_bundle_that_is_there_is_fetched_anew";
    let Some(server) = Server::start(test) else {
        return;
    };
    let layer = noise(1, 100_000);
    let mut upstream = Upstream::with_layer(server, &layer).await;
    let (workshop, recipe) = (Workshop::new(), upstream.recipe(None));
    workshop.bundle(&recipe).await;
    let bytes = workshop.bytes();
    let mut damaged = bytes.clone();
    let at = bytes.windows(100).position(|found| found == &layer[..100]);
    damaged[at.unwrap()] ^= 1;
    fs::write(workshop.target(), damaged).unwrap();

    upstream.server.restart();
    workshop.bundle(&recipe).await;
    assert!(workshop.bytes() == bytes, "a mended bundle has other bytes");
    let layer = format!("/v2/team/one/blobs/{} 200", Digest::of(&layer));
    logged(&upstream.server, &layer, 1).await;
    logged(&upstream.server, "/blobs/", 1).await;
}
