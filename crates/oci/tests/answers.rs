//! What a registry may answer that a good one rarely does: each told apart, with what to do next.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use oci::{
    Digest, ImageSource as _, Layout, OciError, Reference, Registry, Settings, manifest::Platform,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};

/// A server that gives these answers one after the other, its port in place of `PORT`, and keeps what was
/// asked with the range or token.
struct Canned {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Canned {
    async fn start(answers: impl IntoIterator<Item = String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, mut answers) = (Arc::clone(&asked), VecDeque::from_iter(answers));
        tokio::spawn(async move {
            while let Some(answer) = answers.pop_front() {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut lines = BufReader::new(&mut stream).lines();
                let mut request = String::new();
                let mut notes = String::new();
                while let Ok(Some(line)) = lines.next_line().await {
                    if line.is_empty() {
                        break;
                    }
                    if request.is_empty() {
                        request = line;
                    } else if let Some(value) = line
                        .strip_prefix("range: ")
                        .or_else(|| line.strip_prefix("authorization: Bearer "))
                    {
                        notes = format!(" {value}");
                    }
                }
                let request = request.trim_end_matches(" HTTP/1.1");
                kept.lock().unwrap().push(format!("{request}{notes}"));
                let answer = answer.replace("PORT", &port.to_string());
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                // A close with something unread would reset the connection.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        });
        Self { port, asked }
    }

    fn reference(&self) -> Reference {
        format!("127.0.0.1:{}/lab/x:1", self.port).parse().unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn registry() -> Registry {
    Registry::new(Settings::default())
}

/// An answer with these headers, each with its line end, and this body.
fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

fn found(digest: Digest) -> String {
    answer(
        "200 OK",
        &format!("docker-content-digest: {digest}\r\n"),
        "",
    )
}

/// The error of a `resolve` that gets these answers, and how many requests it took.
async fn resolve_error(answers: impl IntoIterator<Item = String>) -> (OciError, usize) {
    let server = Canned::start(answers).await;
    let error = registry().resolve(&server.reference()).await.unwrap_err();
    (error, server.asked().len())
}

#[tokio::test]
async fn resolving_is_one_head_request() {
    let digest = Digest::of(b"x");
    let server = Canned::start([found(digest)]).await;
    assert_eq!(
        registry().resolve(&server.reference()).await.unwrap(),
        digest
    );
    assert_eq!(server.asked(), ["HEAD /v2/lab/x/manifests/1"]);
}

#[tokio::test]
async fn a_token_is_fetched_where_everyone_gets_one() {
    let challenge =
        "www-authenticate: Bearer realm=\"http://127.0.0.1:PORT/token\",service=\"s\"\r\n";
    let denied = || answer("401 Unauthorized", challenge, "");
    let token = answer("200 OK", "", r#"{"token":"t"}"#);
    let digest = Digest::of(b"x");
    let server = Canned::start([denied(), denied(), token, found(digest), found(digest)]).await;
    let registry = registry();
    for _ in 0..2 {
        let resolved = registry.resolve(&server.reference()).await.unwrap();
        assert_eq!(resolved, digest);
    }
    assert_eq!(
        server.asked(),
        [
            "HEAD /v2/lab/x/manifests/1",
            "GET /v2/",
            "GET /token?scope=repository%3Alab%2Fx%3Apull&service=s",
            "HEAD /v2/lab/x/manifests/1 t",
            // The token is kept.
            "HEAD /v2/lab/x/manifests/1 t",
        ]
    );
}

#[tokio::test]
async fn a_registry_that_does_not_tell_the_digest_is_asked_for_the_content() {
    let manifest = r#"{"schemaVersion":2,"manifests":[]}"#;
    let server = Canned::start([answer("200 OK", "", ""), answer("200 OK", "", manifest)]).await;
    let digest = registry().resolve(&server.reference()).await.unwrap();
    assert_eq!(digest, Digest::of(manifest.as_bytes()));
}

#[tokio::test]
async fn a_registry_is_waited_for_as_long_as_it_asks() {
    let busy = || answer("429 Too Many Requests", "retry-after: 1\r\n", "");
    let digest = Digest::of(b"x");
    let server = Canned::start([busy(), busy(), found(digest)]).await;
    let started = Instant::now();
    assert_eq!(
        registry().resolve(&server.reference()).await.unwrap(),
        digest
    );
    assert!(started.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn waiting_is_bounded() {
    let busy = |wait: u32| {
        answer(
            "429 Too Many Requests",
            &format!("retry-after: {wait}\r\n"),
            "",
        )
    };
    let (error, requests) = resolve_error((0..9).map(|_| busy(0))).await;
    assert!(matches!(error, OciError::Throttled { .. }), "{error}");
    assert_eq!(requests, 5);
    let (error, requests) = resolve_error([busy(3600)]).await;
    assert_eq!(error.hint().unwrap(), "try again in 3600 s");
    assert_eq!(requests, 1);
}

/// An image whose one blob is both configuration and layer, because two would be asked for beside each other: its
/// manifest, and the blob's digest.
fn image_of(blob: &str) -> (String, Digest) {
    let (digest, size) = (Digest::of(blob.as_bytes()), blob.len());
    let descriptor = format!(r#"{{"mediaType":"b","digest":"{digest}","size":{size}}}"#);
    let manifest =
        format!(r#"{{"schemaVersion":2,"config":{descriptor},"layers":[{descriptor}]}}"#);
    (manifest, digest)
}

#[tokio::test]
async fn manifests_and_blobs_are_waited_for_alike() {
    let busy = |wait: u32| {
        let header = format!("retry-after: {wait}\r\n");
        answer("429 Too Many Requests", &header, "")
    };
    let (manifest, digest) = image_of("blob");
    let manifest = || answer("200 OK", "", &manifest);
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let get = format!("GET /v2/lab/x/blobs/{digest}");

    // Longer than anybody waits: told at once, and the next one goes on.
    let server = Canned::start([manifest(), busy(90)]).await;
    let error = registry()
        .pull_image(&server.reference(), &layout, None)
        .await
        .unwrap_err();
    assert!(matches!(error, OciError::Throttled { .. }), "{error}");
    assert_eq!(error.hint().unwrap(), "try again in 90 s");
    assert_eq!(server.asked(), ["GET /v2/lab/x/manifests/1", &get]);
    assert!(layout.images().unwrap().is_empty());

    let blob = answer("200 OK", "", "blob");
    let server = Canned::start([busy(1), manifest(), busy(1), blob]).await;
    let started = Instant::now();
    registry()
        .pull_image(&server.reference(), &layout, None)
        .await
        .unwrap();
    assert!(started.elapsed() >= Duration::from_secs(2));
    layout.verify().unwrap();
    let manifest = "GET /v2/lab/x/manifests/1";
    assert_eq!(server.asked(), [manifest, manifest, &get, &get]);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let body = r#"{"errors":[{"code":"DENIED","message":"not yours"}]}"#;
    let server = Canned::start([
        answer("403 Forbidden", "", body),
        answer("404 Not Found", "", ""),
        answer("500 Internal Server Error", "", "out of\norder"),
    ])
    .await;
    let reference = server.reference();
    let registry = registry();
    let layout = tempfile::tempdir().unwrap();
    let layout = Layout::create(layout.path()).unwrap();
    let mut errors = Vec::new();
    for _ in 0..3 {
        let error = registry
            .pull_image(&reference, &layout, None)
            .await
            .unwrap_err();
        errors.push(error.to_string().replace(&server.port.to_string(), "PORT"));
    }
    assert_eq!(
        errors,
        [
            "the registry 127.0.0.1:PORT denies access to lab/x (403): 403, DENIED: not yours",
            "the registry 127.0.0.1:PORT does not have the manifest 1 of lab/x",
            "the registry 127.0.0.1:PORT refused the manifest 1 of lab/x: 500, out of order",
        ]
    );
    assert!(layout.images().unwrap().is_empty());
}

#[tokio::test]
async fn a_registry_that_tells_another_digest_is_not_believed() {
    let (asked, other) = (Digest::of(b"asked"), Digest::of(b"other"));
    let server = Canned::start([found(other)]).await;
    let error = registry()
        .resolve(&server.reference().by_digest(asked))
        .await
        .unwrap_err();
    assert!(
        matches!(error, OciError::Mismatch { expected, found, .. } if (expected, found) == (asked, other)),
        "{error}"
    );
    let manifest = r#"{"schemaVersion":2,"manifests":[]}"#;
    let told = format!("docker-content-digest: {other}\r\n");
    let server = Canned::start([answer("200 OK", &told, manifest)]).await;
    let error = registry()
        .pull_artifact(&server.reference())
        .await
        .unwrap_err();
    assert!(matches!(error, OciError::Mismatch { .. }), "{error}");
}

#[tokio::test]
async fn a_manifest_without_end_is_not_read_to_its_end() {
    let server = Canned::start([answer("200 OK", "", &"x".repeat(5 << 20))]).await;
    let error = registry()
        .pull_artifact(&server.reference())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("longer than 4194304 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn nobody_there_and_no_tls_are_told_apart() {
    // Bound and closed again: nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let reference = format!("127.0.0.1:{port}/lab/x").parse().unwrap();
    let error = registry().resolve(&reference).await.unwrap_err();
    assert!(matches!(error, OciError::Unreachable { .. }), "{error}");
    assert!(error.hint().unwrap().contains(&format!("127.0.0.1:{port}")));

    // Not a name of loopback, so that TLS is spoken to a server that does not.
    let server = Canned::start([answer("400 Bad Request", "", "")]).await;
    let reference = format!("0.0.0.0:{}/lab/x", server.port).parse().unwrap();
    let error = registry().resolve(&reference).await.unwrap_err();
    assert!(matches!(error, OciError::Tls { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("plain HTTP"));
}

#[tokio::test]
async fn a_blob_that_breaks_off_is_gone_on_with() {
    let blob = "first, second";
    let (manifest, digest) = image_of(blob);
    let server = Canned::start([
        answer("200 OK", "", &manifest),
        answer("200 OK", "", blob).replace("second", ""),
        answer(
            "206 Partial Content",
            "content-range: bytes 7-12/13\r\n",
            "second",
        ),
    ])
    .await;
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let moved = registry()
        .pull_image(&server.reference(), &layout, Some(&Platform::host()))
        .await
        .unwrap();
    assert_eq!((moved.blobs, moved.bytes), (1, 13));
    assert_eq!(moved.digest, Digest::of(manifest.as_bytes()));
    layout.verify().unwrap();
    assert_eq!(
        server.asked(),
        [
            "GET /v2/lab/x/manifests/1".to_owned(),
            format!("GET /v2/lab/x/blobs/{digest}"),
            format!("GET /v2/lab/x/blobs/{digest} bytes=7-"),
        ]
    );
}

#[tokio::test]
async fn pushes_and_pulls_can_run_beside_each_other() {
    fn is_send(_: impl Send) {}
    let registry = registry();
    let reference: Reference = "quay.io/lab/x:1".parse().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    let image = oci::manifest::Descriptor::of("x", b"");
    is_send(registry.resolve(&reference));
    is_send(registry.pull_artifact(&reference));
    is_send(registry.pull_image(&reference, &layout, None));
    is_send(registry.push_image(&layout, &image, &reference));
}
