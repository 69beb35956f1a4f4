//! A registry of the bench's own: Debian's `docker-registry`, gone with its value.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use oci::Digest;
use tempfile::TempDir;

/// How long a registry may take until it listens.
const BOUND: Duration = Duration::from_secs(20);

/// A running registry with nothing in it. Dropping it ends it and removes its directory.
pub(crate) struct Server {
    process: Child,
    directory: TempDir,
    address: String,
}

impl Server {
    pub(crate) async fn start(program: &Path, work: &Path) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir_in(work).context("cannot make a directory")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let configuration = format!(
            "version: 0.1\nlog:\n  accesslog:\n    disabled: true\n  level: error\nstorage:\n  filesystem:\n    \
             rootdirectory: {}\nhttp:\n  addr: {address}\n  secret: bench\n",
            directory.path().join("storage").display(),
        );
        let file = directory.path().join("config.yml");
        fs::write(&file, configuration).context("cannot write a registry's configuration")?;
        let process = Command::new(program)
            .arg("serve")
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start docker-registry")?;
        let server = Self {
            process,
            directory,
            address,
        };
        let started = Instant::now();
        while let Err(error) = TcpStream::connect(&server.address) {
            if started.elapsed() > BOUND {
                return Err(error).context("docker-registry does not listen");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(server)
    }

    /// Its host and port.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The file in which it keeps a blob.
    pub(crate) fn blob(&self, digest: Digest) -> PathBuf {
        let hex = digest.hex();
        let blobs = "storage/docker/registry/v2/blobs/sha256";
        let directory = self.directory.path().join(blobs).join(&hex[..2]);
        directory.join(hex).join("data")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // What has ended by itself needs no killing.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
