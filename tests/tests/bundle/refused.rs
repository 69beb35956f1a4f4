//! What a registry does not give or take is told by name, with what to do next.

use std::fs;

use lab_tests::registry::Registry as Server;
use oci::{BundleRecipe, Digest, Meter, OciError, Reference};

use crate::images::{Upstream, Workshop, load, noise, places, reference};

/// Any account: nobody logs in.
const HTPASSWD: &str = "lab:$2y$05$abcdefghijklmnopqrstuuNYle8V2./7BGAiMUVUlBPNgz2/uFiE.\n";

fn guarded(test: &str) -> Option<Server> {
    Server::start_with(test, |folder| {
        let path = folder.join("htpasswd");
        fs::write(&path, HTPASSWD).unwrap();
        let path = path.display();
        format!("auth:\n  htpasswd:\n    realm: lab\n    path: {path}")
    })
}

fn of(image: Reference) -> BundleRecipe {
    BundleRecipe {
        remote: [image].into(),
        local: Vec::new(),
        platform: None,
    }
}

/// The error of a bundle that cannot be made.
async fn error_of(recipe: &BundleRecipe) -> OciError {
    let workshop = Workshop::new();
    let error = workshop
        .create(recipe, &Meter::default())
        .await
        .unwrap_err();
    workshop.has_no_bundle();
    error
}

fn wants_a_login(error: &OciError, server: &Server) {
    assert!(
        matches!(error, OciError::Denied { status: 401, .. }),
        "{error}"
    );
    let hint = format!("log in with `docker login {}`", server.address());
    assert_eq!(error.hint().unwrap(), hint);
}

#[tokio::test]
async fn a_registry_that_wants_a_login_says_so_to_both_sides() {
    let test = "a_registry_that_wants_a_login_says_so_to_both_sides";
    let (Some(guarded), Some(open)) = (guarded(test), Server::start(test)) else {
        return;
    };
    let error = error_of(&of(reference(&guarded, "team/one:1"))).await;
    wants_a_login(&error, &guarded);
    assert!(error.to_string().contains("team/one"), "{error}");

    let upstream = Upstream::with_layer(open, &noise(1, 1000)).await;
    let bundle = Workshop::new();
    let bundle = bundle.bundle(&upstream.recipe(None)).await;
    let places = places(&bundle, &guarded, "copy");
    let error = load(&bundle, &places).await.unwrap_err();
    wants_a_login(&error, &guarded);
    assert!(error.to_string().contains("copy/team/one"), "{error}");
}

#[tokio::test]
async fn what_a_registry_does_not_have_is_named() {
    let Some(server) = Server::start("what_a_registry_does_not_have_is_named") else {
        return;
    };
    let missing = Digest::of(b"nothing");
    let image = reference(&server, "team/one:1").with_digest(missing);
    let error = error_of(&of(image)).await;
    let text = format!(
        "the registry {} does not have the manifest {missing} of team/one",
        server.address()
    );
    assert_eq!(error.to_string(), text);
    assert!(error.hint().is_some());

    let layer = noise(1, 1000);
    let upstream = Upstream::with_layer(server, &layer).await;
    let layer = Digest::of(&layer);
    fs::remove_file(upstream.server.blob(&layer.hex())).unwrap();
    let error = error_of(&upstream.recipe(None)).await;
    let text = format!(
        "the registry {} does not have the blob {layer} of team/one",
        upstream.server.address()
    );
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn a_platform_that_an_index_does_not_have_is_answered_with_those_that_it_has() {
    let test = "a_platform_that_an_index_does_not_have_is_answered_with_those_that_it_has";
    let Some(server) = Server::start(test) else {
        return;
    };
    let upstream = Upstream::of(server, |layout| {
        let image = crate::images::image(layout, "arm64", &[&noise(1, 1000)]);
        vec![("team/one:1", crate::images::index(layout, &[&image]))]
    })
    .await;
    let error = error_of(&upstream.recipe(Some("linux/s390x"))).await;
    assert!(matches!(error, OciError::NoPlatform { .. }), "{error}");
    assert_eq!(error.hint().unwrap(), "known are linux/arm64");
}
