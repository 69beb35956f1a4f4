//! Upstream's installation of Argo CD: fetched once, checked against the pinned SHA-256, kept.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use lab::{LabError, write_atomically};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::ClusterError;

/// How long the download may take.
const BOUND: Duration = Duration::from_secs(60);

/// `manifests/argocd/upstream.yaml`.
#[derive(Debug, Deserialize)]
struct Upstream {
    url: String,
    sha256: String,
}

/// The file `install.yaml` that is pinned: beside the manifests, or kept in `cache`, or fetched into it.
///
/// # Errors
/// When it cannot be fetched, or what came is not what is pinned; nothing is kept then.
pub async fn installation(manifests: &Path, cache: &Path) -> Result<PathBuf, ClusterError> {
    let path = manifests.join("argocd/upstream.yaml");
    let text = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
    let upstream: Upstream = serde_yaml::from_str(&text)
        .map_err(|error| ClusterError::malformed(path.display().to_string(), error))?;
    let kept = cache.join(format!("argocd-{}.yaml", upstream.sha256));
    for candidate in [manifests.join("argocd/install.yaml"), kept.clone()] {
        if let Ok(bytes) = fs::read(&candidate)
            && digest(&bytes) == upstream.sha256
        {
            return Ok(candidate);
        }
    }
    let bytes = fetch(&upstream.url).await?;
    let found = digest(&bytes);
    if found != upstream.sha256 {
        return Err(ClusterError::Checksum {
            url: upstream.url,
            expected: upstream.sha256,
            found,
        });
    }
    write_atomically(&kept, &bytes, 0o644)?;
    Ok(kept)
}

async fn fetch(url: &str) -> Result<Vec<u8>, ClusterError> {
    let failed = |source: reqwest::Error| ClusterError::Fetch {
        url: url.to_owned(),
        source: source.into(),
    };
    // The same cryptography as everywhere; that it is there already is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .timeout(BOUND)
        .build()
        .map_err(failed)?;
    let response = client
        .get(url)
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map_err(failed)?;
    Ok(response.bytes().await.map_err(failed)?.to_vec())
}

fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn manifests(url: &str, sha256: &str) -> tempfile::TempDir {
        let manifests = tempfile::tempdir().unwrap();
        let directory = manifests.path().join("argocd");
        fs::create_dir(&directory).unwrap();
        fs::write(
            directory.join("upstream.yaml"),
            format!("version: v1\nurl: {url}\nsha256: {sha256}\n"),
        )
        .unwrap();
        manifests
    }

    #[tokio::test]
    async fn a_file_beside_the_manifests_is_taken_when_it_is_the_pinned_one() {
        let manifests = manifests("http://127.0.0.1:1/x", &digest(b"kind: List\n"));
        let file = manifests.path().join("argocd/install.yaml");
        fs::write(&file, "kind: List\n").unwrap();
        let found = installation(manifests.path(), manifests.path())
            .await
            .unwrap();
        assert_eq!(found, file);
    }

    #[tokio::test]
    async fn another_file_than_the_pinned_one_is_not_kept() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}/install.yaml", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).unwrap();
            stream
                .write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nother",
                )
                .unwrap();
        });
        let pinned = digest(b"the pinned one");
        let manifests = manifests(&url, &pinned);
        let error = installation(manifests.path(), manifests.path())
            .await
            .unwrap_err();
        server.join().unwrap();
        let told = error.to_string();
        assert!(
            told.contains(&digest(b"other")) && told.contains(&pinned),
            "{told}"
        );
        assert_eq!(fs::read_dir(manifests.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_machine_without_a_network_is_told_where_to_put_the_file() {
        let manifests = manifests("http://127.0.0.1:1/install.yaml", "00");
        let error = installation(manifests.path(), manifests.path())
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot fetch http://127.0.0.1:1"),
            "{error}"
        );
        assert!(
            error
                .hint()
                .unwrap()
                .contains("manifests/argocd/install.yaml")
        );
    }
}
