use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

fn inputs() -> Inputs {
    let digest = Digest::of(b"one");
    let loki: Reference = "docker.io/grafana/loki:3.6.7".parse().unwrap();
    Inputs {
        images: vec![
            Image::new(&loki, digest, Some("amd64")),
            Image {
                name: "producer".to_owned(),
                repository: None,
                tag: None,
                digest,
                architecture: None,
            },
        ],
        programs: vec![Download {
            name: "kind".to_owned(),
            version: "v0.31.0".to_owned(),
            url: None,
            sha256: None,
        }],
        files: vec![Download {
            name: "argocd-install.yaml".to_owned(),
            version: "v3.5.1".to_owned(),
            url: Some("https://example.org/install.yaml".to_owned()),
            sha256: Some(digest),
        }],
    }
}

fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

fn component<'a>(document: &'a Value, name: &str) -> &'a Value {
    let components = document["components"].as_array().unwrap();
    components.iter().find(|it| it["name"] == name).unwrap()
}

#[test]
fn the_same_inputs_give_the_same_bytes_in_any_order() {
    let once = document(&inputs()).unwrap();
    let mut turned = inputs();
    turned.images.reverse();
    turned.images.extend(inputs().images);
    assert_eq!(document(&turned).unwrap(), once);
    turned.images[0].digest = Digest::of(b"two");
    let other = document(&turned).unwrap();
    let [one, other] = [once, other].map(|bytes| read(&bytes)["serialNumber"].clone());
    assert_ne!(one, other);
    let one = one.as_str().unwrap();
    assert!(one.starts_with("urn:uuid:") && one.len() == 45, "{one}");
}

#[test]
fn every_crate_is_listed_once_and_every_reference_leads_somewhere() {
    let document = read(&document(&inputs()).unwrap());
    let components = document["components"].as_array().unwrap();
    let refs: BTreeSet<&str> = components
        .iter()
        .map(|component| component["bom-ref"].as_str().unwrap())
        .collect();
    assert_eq!(refs.len(), components.len());
    assert_eq!(
        components.len(),
        crates::LOCK.matches("[[package]]").count() + 4
    );
    let dependencies = document["dependencies"].as_array().unwrap();
    assert_eq!(dependencies.len(), components.len() + 1);
    for dependency in dependencies {
        for on in dependency["dependsOn"].as_array().unwrap() {
            assert!(refs.contains(on.as_str().unwrap()), "{on}");
        }
    }
    let cluster = component(&document, "cluster");
    assert_eq!(cluster["bom-ref"], "lab/cluster");
    assert_eq!(cluster["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        cluster["purl"].is_null() && cluster["hashes"].is_null(),
        "{cluster}"
    );
    let serde = component(&document, "serde_json");
    let purl = serde["purl"].as_str().unwrap();
    assert!(purl.starts_with("pkg:cargo/serde_json@1."), "{purl}");
    assert_eq!(serde["hashes"][0]["alg"], "SHA-256");
}

#[test]
fn images_programs_and_files_say_where_they_come_from() {
    let document = read(&document(&inputs()).unwrap());
    let digest = Digest::of(b"one");
    let hashes = json!([{ "alg": "SHA-256", "content": digest.hex() }]);
    let purl = |text: &str| format!("pkg:{text}").replace("DIGEST", &digest.to_string());
    for (name, expected) in [
        (
            "docker.io/grafana/loki",
            json!({
                "type": "container", "version": "3.6.7", "hashes": hashes,
                "purl": purl("oci/loki@DIGEST?arch=amd64&repository_url=docker.io/grafana/loki&tag=3.6.7"),
            }),
        ),
        (
            "producer",
            json!({
                "type": "container", "version": digest.to_string(), "hashes": hashes,
                "purl": purl("oci/producer@DIGEST"),
            }),
        ),
        (
            "kind",
            json!({
                "type": "application", "version": "v0.31.0", "purl": purl("generic/kind@v0.31.0"),
            }),
        ),
        (
            "argocd-install.yaml",
            json!({
                "type": "file", "version": "v3.5.1", "hashes": hashes,
                "purl": purl("generic/argocd-install.yaml@v3.5.1?checksum=DIGEST&download_url=https://example.org/install.yaml"),
                "externalReferences": [
                    { "type": "distribution", "url": "https://example.org/install.yaml", "hashes": hashes },
                ],
            }),
        ),
    ] {
        // The lab's own crate of this name comes without a digest.
        let components = document["components"].as_array().unwrap();
        let mut found = components
            .iter()
            .filter(|it| it["name"] == name && it["type"] == expected["type"]);
        let mut found = found.next().unwrap().clone();
        let fields = found.as_object_mut().unwrap();
        fields.remove("name");
        let bom_ref = fields.remove("bom-ref").unwrap();
        assert_eq!(bom_ref, expected["purl"]);
        assert_eq!(found, expected);
    }
}

#[test]
fn a_dependency_of_several_versions_is_the_one_that_is_named() {
    let lock = format!(
        "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"{0}\"\nchecksum = \"{1}\"\n[[package]]\n\
         name = \"a\"\nversion = \"2.0.0\"\nsource = \"{0}\"\nchecksum = \"{1}\"\n[[package]]\nname = \"x\"\n\
         version = \"0.1.0\"\ndependencies = [\"a 2.0.0\"]\n",
        "registry+https://github.com/rust-lang/crates.io-index",
        Digest::of(b"").hex(),
    );
    let crates = crates::read(&lock).unwrap();
    let x = crates.iter().find(|found| found.is_own()).unwrap();
    assert_eq!(x.dependencies, ["pkg:cargo/a@2.0.0".to_owned()].into());
    for (from, to, reason) in [
        ("a 2.0.0\"]", "a 3.0.0\"]", "it has no a 3.0.0"),
        ("registry+https", "git+https", "a comes from git+https"),
        ("[[package]]", "[[package", "Cargo.lock is malformed"),
    ] {
        let error = crates::read(&lock.replace(from, to)).unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
}
