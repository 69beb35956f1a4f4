//! A real Kubernetes API server with its etcd, for one test: on free ports of 127.0.0.1, gone with the test.
//!
//! `KUBEBUILDER_ASSETS` names the directory of `etcd` and `kube-apiserver`, as for every project that is built on
//! controller-runtime; otherwise they are looked for on `PATH`. No controller runs: objects are stored and checked, nothing
//! is made from them.

use std::{
    env, fs,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::{group::Group, program::free_ports, require, wait};

/// A running API server. Dropping it ends its processes and removes its folder.
pub struct ApiServer {
    // Dropped in this order: the server, then its store, then the folder that both work in.
    server: Group,
    _etcd: Group,
    kubectl: PathBuf,
    port: u16,
    folder: TempDir,
}

/// The one user: an administrator.
const TOKEN: &str = "administrator";

impl ApiServer {
    /// Starts one, or skips the test `test` on a machine that lacks a program.
    pub fn start(test: &str) -> Option<Self> {
        let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let find = |name: &str| {
            let asset = assets.as_ref().map(|assets| assets.join(name));
            match asset.filter(|path| path.is_file()) {
                Some(path) => Some(path),
                None => require::program(test, name),
            }
        };
        let (etcd, server) = (find("etcd")?, find("kube-apiserver")?);
        let (kubectl, openssl) = (find("kubectl")?, find("openssl")?);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [client, peer, port] = free_ports();
        let etcd = start_etcd(&etcd, folder.path(), client, peer);
        let server = start_server(&server, &openssl, folder.path(), client, port);
        let api = Self {
            server,
            _etcd: etcd,
            kubectl,
            port,
            folder,
        };
        Some(api.ready())
    }

    fn ready(mut self) -> Self {
        wait::until_blocking("the API server to be ready", || {
            if let Some(status) = self.server.ended() {
                let log = fs::read_to_string(self.folder.path().join("kube-apiserver.log"));
                panic!("it ended with {status}: {}", log.unwrap_or_default());
            }
            self.kubectl(&["get", "--raw", "/readyz"], "").map(drop)
        });
        self
    }

    /// Runs kubectl with an input.
    ///
    /// # Errors
    /// What kubectl says when it fails.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut child = Command::new(&self.kubectl)
            .args(arguments)
            .arg(format!("--server=https://127.0.0.1:{}", self.port))
            .arg(format!("--token={TOKEN}"))
            .arg("--insecure-skip-tls-verify")
            .env("HOME", self.folder.path())
            .env_remove("KUBECONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.to_owned();
        // Written beside the reading, or both sides would wait for each other.
        let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
        let Output {
            status,
            stdout,
            stderr,
        } = child
            .wait_with_output()
            .map_err(|error| error.to_string())?;
        // A kubectl that fails early does not read all of it; its own words say why.
        let _ = writer.join();
        if status.success() {
            return Ok(String::from_utf8_lossy(&stdout).into_owned());
        }
        Err(String::from_utf8_lossy(&stderr).into_owned())
    }
}

fn logged(program: &Path, folder: &Path) -> Command {
    let name = program.file_name().expect("a program").to_string_lossy();
    let log = File::create(folder.join(format!("{name}.log"))).expect("a log file");
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log);
    command
}

fn start_etcd(program: &Path, folder: &Path, client: u16, peer: u16) -> Group {
    let (client, peer) = (
        format!("http://127.0.0.1:{client}"),
        format!("http://127.0.0.1:{peer}"),
    );
    let mut command = logged(program, folder);
    command.args([
        "--data-dir=etcd",
        // The data is gone with the test, so nothing needs to survive a power failure.
        "--unsafe-no-fsync",
        &format!("--listen-client-urls={client}"),
        &format!("--advertise-client-urls={client}"),
        &format!("--listen-peer-urls={peer}"),
        &format!("--initial-advertise-peer-urls={peer}"),
        &format!("--initial-cluster=default={peer}"),
    ]);
    Group::start(&mut command)
}

fn start_server(program: &Path, openssl: &Path, folder: &Path, etcd: u16, port: u16) -> Group {
    let made = logged(openssl, folder)
        .args(["genrsa", "-out", "accounts.key", "2048"])
        .status();
    assert!(
        made.expect("openssl starts").success(),
        "openssl makes no key"
    );
    fs::write(
        folder.join("tokens.csv"),
        format!("{TOKEN},{TOKEN},1,system:masters\n"),
    )
    .expect("a file of tokens");
    let mut command = logged(program, folder);
    command.args([
        &format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        "--bind-address=127.0.0.1",
        &format!("--secure-port={port}"),
        "--cert-dir=certificates",
        "--token-auth-file=tokens.csv",
        "--authorization-mode=RBAC",
        // As kubeadm sets it: what a namespace's Pod Security level refuses must not be refused before.
        "--allow-privileged=true",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-account-key-file=accounts.key",
        "--service-account-signing-key-file=accounts.key",
        "--service-cluster-ip-range=10.96.0.0/16",
        // Aggregated APIs have nobody behind them here.
        "--enable-aggregator-routing=false",
    ]);
    Group::start(&mut command)
}
