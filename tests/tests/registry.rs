//! Artifacts and images go to a real registry and come back as they were, or not at all.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use lab_tests::{registry::Registry as Server, require, wait};
use oci::{
    Artifact, Digest, ImageSource as _, Layout, OciError, Reference, Registry, Settings, image,
    manifest::{Descriptor, INDEX, Index, Manifest, Platform},
};
use tempfile::TempDir;

/// `lab:s:ecret`, as `htpasswd -B` writes it.
const HTPASSWD: &str = "lab:$2y$05$abcdefghijklmnopqrstuuNYle8V2./7BGAiMUVUlBPNgz2/uFiE.\n";

fn client() -> Registry {
    Registry::new(Settings::default())
}

fn reference(server: &Server, name: &str) -> Reference {
    format!("{}/{name}", server.address()).parse().unwrap()
}

fn artifact() -> Artifact {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("apps")).unwrap();
    fs::write(directory.path().join("apps/a.yaml"), "a: 1\n").unwrap();
    Artifact::pack(directory.path()).unwrap()
}

/// A layout with an image, whose program is none but has the headers of one.
fn built() -> (TempDir, Layout, Descriptor) {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("program");
    let mut bytes = vec![0; 1 << 20];
    for (number, byte) in bytes.iter_mut().enumerate() {
        *byte = ((number * number) >> 7) as u8;
    }
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[18..20].copy_from_slice(&[62, 0]);
    bytes[54..58].fill(0);
    fs::write(&program, bytes).unwrap();
    let layout = Layout::create(&directory.path().join("layout")).unwrap();
    let image = image::build(
        &layout,
        &image::Recipe {
            name: "producer".to_owned(),
            program,
            version: "1".to_owned(),
            revision: None,
            source: None,
            platform: Platform::linux("amd64"),
            environment: BTreeMap::new(),
        },
    )
    .unwrap();
    layout.set_image("lab/producer:1", image.clone()).unwrap();
    (directory, layout, image)
}

fn manifest(layout: &Layout, image: &Descriptor) -> Manifest {
    serde_json::from_slice(&layout.read(image).unwrap()).unwrap()
}

fn empty_layout() -> (TempDir, Layout) {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    (directory, layout)
}

/// Changes one byte of a blob where the registry keeps it.
fn corrupt(server: &Server, digest: Digest) {
    let path = server.blob(&digest.hex());
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn an_artifact_comes_back_as_it_was_pushed() {
    let Some(server) = Server::start("an_artifact_comes_back_as_it_was_pushed") else {
        return;
    };
    let (artifact, client) = (artifact(), client());
    let reference = reference(&server, "lab/manifests:1");
    let moved = client.push_artifact(&artifact, &reference).await.unwrap();
    assert_eq!((moved.digest, moved.blobs), (artifact.digest(), 2));
    assert_eq!(client.resolve(&reference).await.unwrap(), moved.digest);
    for reference in [reference.by_digest(moved.digest), reference] {
        assert_eq!(client.pull_artifact(&reference).await.unwrap(), artifact);
    }
}

#[tokio::test]
async fn pushing_what_is_there_is_one_head_request() {
    let Some(mut server) = Server::start("pushing_what_is_there_is_one_head_request") else {
        return;
    };
    let (artifact, client) = (artifact(), client());
    let first = reference(&server, "lab/manifests:1");
    client.push_artifact(&artifact, &first).await.unwrap();
    server.restart();
    // Another client: nothing is remembered.
    let moved = self::client()
        .push_artifact(&artifact, &first)
        .await
        .unwrap();
    assert_eq!((moved.blobs, moved.bytes), (0, 0));
    was_asked(&server, &["HEAD /v2/lab/manifests/manifests/1 200"]);

    // Under another tag it costs that tag.
    server.restart();
    let second = reference(&server, "lab/manifests:2");
    self::client()
        .push_artifact(&artifact, &second)
        .await
        .unwrap();
    let digest = artifact.digest();
    was_asked(
        &server,
        &[
            "HEAD /v2/lab/manifests/manifests/2 404",
            &format!("HEAD /v2/lab/manifests/manifests/{digest} 200"),
            "PUT /v2/lab/manifests/manifests/2 201",
        ],
    );

    let (_directory, layout, image) = built();
    let reference = reference(&server, "lab/producer:1");
    self::client()
        .push_image(&layout, &image, &reference)
        .await
        .unwrap();
    server.restart();
    self::client()
        .push_image(&layout, &image, &reference)
        .await
        .unwrap();
    was_asked(&server, &["HEAD /v2/lab/producer/manifests/1 200"]);
}

/// Since its last start. It writes its log when it has answered.
fn was_asked(server: &Server, expected: &[&str]) {
    let found = wait::until_blocking("the registry's log", || {
        let found = server.requests();
        if found.len() < expected.len() {
            return Err(format!("{found:?}"));
        }
        Ok(found)
    });
    assert_eq!(found, expected);
}

#[tokio::test]
async fn an_image_comes_back_and_its_blobs_are_not_sent_twice() {
    let Some(server) = Server::start("an_image_comes_back_and_its_blobs_are_not_sent_twice") else {
        return;
    };
    let (_built, layout, image) = built();
    let client = client();
    let first = reference(&server, "lab/producer:1");
    let moved = client.push_image(&layout, &image, &first).await.unwrap();
    let manifest = manifest(&layout, &image);
    let size = manifest.layers[0].size + manifest.config.size;
    assert_eq!((moved.blobs, moved.bytes), (2, size));

    let (_pulled, pulled) = empty_layout();
    let moved = client.pull_image(&first, &pulled, None).await.unwrap();
    assert_eq!((moved.digest, moved.bytes), (image.digest, size));
    pulled.verify().unwrap();
    assert_eq!(
        pulled.image(&first.to_string()).unwrap().digest,
        image.digest
    );
    let moved = client.pull_image(&first, &pulled, None).await.unwrap();
    assert_eq!((moved.blobs, moved.bytes), (0, 0));
}

#[tokio::test]
async fn an_index_keeps_its_digest_when_one_platform_is_pulled() {
    let Some(server) = Server::start("an_index_keeps_its_digest_when_one_platform_is_pulled")
    else {
        return;
    };
    let (_built, layout, image) = built();
    let index = serde_json::to_vec(&Index::new(vec![image])).unwrap();
    let index = layout.add(INDEX, &index).unwrap();
    let client = client();
    let reference = reference(&server, "lab/producer:1");
    client
        .push_image(&layout, &index, &reference)
        .await
        .unwrap();

    let (_pulled, pulled) = empty_layout();
    let amd64 = Platform::linux("amd64");
    let moved = client
        .pull_image(&reference, &pulled, Some(&amd64))
        .await
        .unwrap();
    assert_eq!(moved.digest, index.digest);
    pulled.verify().unwrap();
    let s390x = Platform::linux("s390x");
    let error = client
        .pull_image(&reference, &pulled, Some(&s390x))
        .await
        .unwrap_err();
    assert_eq!(error.hint().unwrap(), "known are linux/amd64");
}

#[tokio::test]
async fn what_the_registry_s_disk_has_damaged_is_refused_by_name() {
    let Some(server) = Server::start("what_the_registry_s_disk_has_damaged_is_refused_by_name")
    else {
        return;
    };
    let (artifact, client) = (artifact(), client());
    let manifests = reference(&server, "lab/manifests:1");
    client.push_artifact(&artifact, &manifests).await.unwrap();
    let (_built, layout, image) = built();
    let producer = reference(&server, "lab/producer:1");
    client.push_image(&layout, &image, &producer).await.unwrap();

    let layer = manifest(&layout, &image).layers[0].digest;
    for digest in [layer, artifact.layer_digest()] {
        corrupt(&server, digest);
    }
    let (directory, pulled) = empty_layout();
    let errors = [
        (
            layer,
            client.pull_image(&producer, &pulled, None).await.map(drop),
        ),
        (
            artifact.layer_digest(),
            client.pull_artifact(&manifests).await.map(drop),
        ),
    ];
    for (digest, result) in errors {
        let error = result.unwrap_err();
        let OciError::Mismatch { expected, what, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(*expected, digest);
        assert!(what.contains(&digest.to_string()), "{what}");
    }
    assert_eq!(pulled.images().unwrap(), []);
    // Another blob may have been on its way, and is gone on with.
    let wrong = directory
        .path()
        .join(format!(".unfinished-{}", layer.hex()));
    assert!(!wrong.exists(), "something of the wrong blob is left");

    // And a manifest, which the registry itself does not check either.
    corrupt(&server, artifact.digest());
    let error = client.pull_artifact(&manifests).await.unwrap_err();
    assert!(
        matches!(error, OciError::Mismatch { expected, .. } if expected == artifact.digest()),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_damaged_layout_is_not_pushed() {
    let Some(server) = Server::start("a_damaged_layout_is_not_pushed") else {
        return;
    };
    let (_directory, layout, image) = built();
    let layer = manifest(&layout, &image).layers[0].digest;
    let path = layout.root().join("blobs/sha256").join(layer.hex());
    let whole = fs::read(&path).unwrap();
    let reference = reference(&server, "lab/producer:1");

    let mut changed = whole.clone();
    changed[1000] ^= 1;
    fs::write(&path, changed).unwrap();
    let error = client()
        .push_image(&layout, &image, &reference)
        .await
        .unwrap_err();
    assert!(
        matches!(error, OciError::Mismatch { expected, .. } if expected == layer),
        "{error:?}"
    );

    fs::write(&path, &whole[..1000]).unwrap();
    let error = client()
        .push_image(&layout, &image, &reference)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("it has 1000 bytes"), "{error}");
    assert!(!server.blob(&layer.hex()).exists());
    let error = client().resolve(&reference).await.unwrap_err();
    assert!(matches!(error, OciError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn what_is_not_there_and_who_is_not_there_are_told_apart() {
    let Some(mut server) = Server::start("what_is_not_there_and_who_is_not_there_are_told_apart")
    else {
        return;
    };
    let digest = Digest::of(b"nothing");
    let reference = reference(&server, "lab/nothing").by_digest(digest);
    let client = client();
    for error in [
        client.resolve(&reference).await.unwrap_err(),
        client.pull_artifact(&reference).await.unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(matches!(error, OciError::NotFound { .. }), "{text}");
        assert!(text.contains(&digest.to_string()), "{text}");
    }
    server.end();
    let error = client.resolve(&reference).await.unwrap_err();
    assert!(matches!(error, OciError::Unreachable { .. }), "{error}");
    let hint = error.hint().unwrap();
    assert!(hint.contains(&server.address()), "{hint}");
}

#[tokio::test]
async fn a_login_of_docker_is_used_where_the_registry_wants_one() {
    let server = Server::start_with(
        "a_login_of_docker_is_used_where_the_registry_wants_one",
        |folder| {
            fs::write(folder.join("htpasswd"), HTPASSWD).unwrap();
            let path = folder.join("htpasswd");
            format!(
                "auth:\n  htpasswd:\n    realm: lab\n    path: {}",
                path.display()
            )
        },
    );
    let Some(server) = server else {
        return;
    };
    let (artifact, reference) = (artifact(), reference(&server, "lab/manifests:1"));
    let docker_config = server.folder().join("docker");
    let client = || {
        Registry::new(Settings {
            docker_config: Some(docker_config.clone()),
            ..Settings::default()
        })
    };
    let error = client()
        .push_artifact(&artifact, &reference)
        .await
        .unwrap_err();
    assert!(
        matches!(error, OciError::Denied { status: 401, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("there are no credentials"),
        "{error}"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .starts_with("log in with `docker login")
    );

    fs::create_dir(&docker_config).unwrap();
    // `lab:wrong` and `lab:s:ecret`.
    for (auth, accepted) in [("bGFiOndyb25n", false), ("bGFiOnM6ZWNyZXQ=", true)] {
        let config = format!(
            r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#,
            server.address()
        );
        fs::write(docker_config.join("config.json"), config).unwrap();
        let client = client();
        match client.push_artifact(&artifact, &reference).await {
            Ok(_) => {
                assert!(accepted);
                let pulled = client.pull_artifact(&reference).await.unwrap();
                assert_eq!(pulled, artifact);
            }
            Err(error) => {
                assert!(!accepted, "{error}");
                let text = error.to_string();
                assert!(text.contains("were not accepted"), "{text}");
                assert!(!text.contains("wrong"), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_secured_registry_is_trusted_by_its_authority_alone() {
    let test = "a_secured_registry_is_trusted_by_its_authority_alone";
    let Some(openssl) = require::program(test, "openssl") else {
        return;
    };
    let server = Server::start_with(test, |folder| {
        certify(&openssl, folder);
        format!(
            "  tls:\n    certificate: {0}/cert.pem\n    key: {0}/key.pem",
            folder.display()
        )
    });
    let Some(server) = server else {
        return;
    };
    let artifact = artifact();
    // Not a name of loopback, with which plain HTTP would be spoken.
    let address = server.address().replace("127.0.0.1", "0.0.0.0");
    let reference: Reference = format!("{address}/lab/manifests:1").parse().unwrap();
    let error = client()
        .push_artifact(&artifact, &reference)
        .await
        .unwrap_err();
    assert!(matches!(error, OciError::Tls { .. }), "{error:?}");

    let client = Registry::new(Settings {
        ca_file: Some(server.folder().join("cert.pem")),
        ..Settings::default()
    });
    client.push_artifact(&artifact, &reference).await.unwrap();
    assert_eq!(client.pull_artifact(&reference).await.unwrap(), artifact);
}

/// Writes a certificate for 0.0.0.0, signed by itself.
fn certify(openssl: &Path, folder: &Path) {
    // Not an authority besides: rustls takes none as a server's certificate.
    let request = "[req]\nprompt=no\ndistinguished_name=name\nx509_extensions=server\n[name]\nCN=lab\n\
        [server]\nbasicConstraints=critical,CA:FALSE\nsubjectAltName=IP:0.0.0.0\n";
    fs::write(folder.join("request"), request).unwrap();
    let made = Command::new(openssl)
        .current_dir(folder)
        .args(["req", "-x509", "-config", "request", "-nodes", "-days", "2"])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{output}");
}
