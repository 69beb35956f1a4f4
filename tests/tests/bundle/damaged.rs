//! A bundle that is not what was written is refused, and nothing of it gets a name.

use std::fs;

use lab_tests::registry::Registry as Server;
use oci::{Bundle, ImageSource as _, OciError};

use crate::images::{Upstream, Workshop, load, noise, nothing_is_named, open, places};

/// What damages a file.
type Damage = (&'static str, fn(&mut Vec<u8>));

const DAMAGES: [Damage; 7] = [
    ("its list", |bytes| bytes[700] ^= 1),
    ("a blob", |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }),
    ("its checksums", |bytes| {
        let at = bytes.len() - 160;
        bytes[at] ^= 1;
    }),
    ("its table", |bytes| {
        let at = bytes.len() - 20;
        bytes[at] ^= 1;
    }),
    ("its last byte", |bytes| *bytes.last_mut().unwrap() ^= 1),
    ("its second half", |bytes| bytes.truncate(bytes.len() / 2)),
    ("all of it", Vec::clear),
];

#[tokio::test]
async fn a_damaged_bundle_is_refused_and_nothing_of_it_is_named() {
    let test = "a_damaged_bundle_is_refused_and_nothing_of_it_is_named";
    let (Some(from), Some(to)) = (Server::start(test), Server::start(test)) else {
        return;
    };
    let upstream = Upstream::with_layer(from, &noise(1, 100_000)).await;
    let workshop = Workshop::new();
    let whole = workshop.bundle(&upstream.recipe(None)).await;
    let places = places(&whole, &to, "copy");
    let bytes = workshop.bytes();
    let mut opened = Vec::new();
    for (what, damage) in DAMAGES {
        let mut damaged = bytes.clone();
        damage(&mut damaged);
        fs::write(workshop.target(), damaged).unwrap();
        let error = match Bundle::open(&workshop.target()) {
            Ok(bundle) => {
                opened.push(what);
                load(&bundle.into(), &places).await.unwrap_err()
            }
            Err(error) => error,
        };
        let (told, path) = (error.to_string(), workshop.target());
        assert!(told.contains(path.to_str().unwrap()), "{what}: {told}");
        nothing_is_named(&places).await;
    }
    // Of a blob only its reader can tell.
    assert_eq!(opened, ["a blob"]);

    fs::write(workshop.target(), bytes).unwrap();
    load(&open(&workshop.target()), &places).await.unwrap();
}

#[tokio::test]
async fn a_blob_that_the_registry_has_is_checked_all_the_same() {
    let test = "a_blob_that_the_registry_has_is_checked_all_the_same";
    let (Some(from), Some(to)) = (Server::start(test), Server::start(test)) else {
        return;
    };
    let upstream = Upstream::with_layer(from, &noise(1, 100_000)).await;
    let workshop = Workshop::new();
    let bundle = workshop.bundle(&upstream.recipe(None)).await;
    load(&bundle, &places(&bundle, &to, "copy")).await.unwrap();

    let mut bytes = workshop.bytes();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(workshop.target(), bytes).unwrap();
    let damaged = open(&workshop.target());
    let mut places = places(&damaged, &to, "copy");
    for (_, place) in &mut places {
        let other = format!("{}/{}:2", place.registry(), place.repository());
        *place = other.parse().unwrap();
    }
    let error = load(&damaged, &places).await.unwrap_err();
    let layer = damaged.images().unwrap()[0].descriptor.clone();
    let layer = damaged.parts(&layer).unwrap().blobs[0].digest;
    assert!(error.to_string().contains(&layer.hex()), "{error}");
    assert!(matches!(error, OciError::Malformed { .. }), "{error:?}");
    nothing_is_named(&places).await;
}
