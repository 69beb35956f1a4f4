//! A real Kubernetes API server with its etcd, for one test: on free ports of 127.0.0.1, gone with the test.
//!
//! `KUBEBUILDER_ASSETS` names the directory of `etcd` and `kube-apiserver`, as for every project that is built on
//! controller-runtime; otherwise they are looked for on `PATH`. Without controllers objects are stored and checked, and
//! nothing is made from them; with them, pods are made that nothing runs.

use std::{
    env, fs,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::json;
use tempfile::TempDir;

use crate::{group::Group, program::free_ports, require, wait};

/// The programs of an API server, found before the first is needed.
#[derive(Clone, Debug)]
pub struct Programs {
    etcd: PathBuf,
    server: PathBuf,
    kubectl: PathBuf,
    openssl: PathBuf,
    controllers: Option<PathBuf>,
}

/// A running API server. Dropping it ends its processes and removes its folder.
pub struct ApiServer {
    // Dropped in this order: what asks before what answers, then the folder that all work in.
    running: Option<Running>,
    programs: Programs,
    etcd_client: u16,
    etcd_peer: u16,
    port: u16,
    folder: TempDir,
}

/// Its processes.
struct Running {
    _controllers: Option<Group>,
    server: Group,
    _etcd: Group,
}

/// An administrator.
pub const ADMINISTRATOR: &str = "administrator";

/// A user who may do nothing.
pub const NOBODY: &str = "nobody";

/// Deployments and StatefulSets get pods, and namespaces the account that pods need.
const CONTROLLERS: &str = "--controllers=deployment-controller,replicaset-controller,statefulset-controller,\
                           serviceaccount-controller";

impl Programs {
    /// Finds them, or skips the test `test` on a machine that lacks one.
    pub fn find(test: &str) -> Option<Self> {
        Some(Self {
            etcd: find(test, "etcd")?,
            server: find(test, "kube-apiserver")?,
            kubectl: find(test, "kubectl")?,
            openssl: find(test, "openssl")?,
            controllers: None,
        })
    }

    /// With the controllers, too.
    pub fn with_controllers(self, test: &str) -> Option<Self> {
        Some(Self {
            controllers: Some(find(test, "kube-controller-manager")?),
            ..self
        })
    }
}

fn find(test: &str, name: &str) -> Option<PathBuf> {
    let assets = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let asset = assets.map(|assets| assets.join(name));
    asset
        .filter(|path| path.is_file())
        .or_else(|| require::program(test, name))
}

impl ApiServer {
    /// Starts one, or skips the test `test` on a machine that lacks a program.
    pub fn start(test: &str) -> Option<Self> {
        Some(Self::of(Programs::find(test)?))
    }

    /// Starts one.
    pub fn of(programs: Programs) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        prepare(&programs.openssl, folder.path());
        let [etcd_client, etcd_peer, port] = free_ports();
        let mut api = Self {
            running: None,
            programs,
            etcd_client,
            etcd_peer,
            port,
            folder,
        };
        api.resume();
        api
    }

    /// Starts its processes again on what they have stored.
    pub fn resume(&mut self) {
        let (programs, folder) = (&self.programs, self.folder.path());
        let etcd = start_etcd(&programs.etcd, folder, self.etcd_client, self.etcd_peer);
        let server = start_server(&programs.server, folder, self.etcd_client, self.port);
        let controllers = programs.controllers.as_ref().map(|program| {
            fs::write(
                folder.join("kubeconfig"),
                self.kubeconfig("controllers", ADMINISTRATOR),
            )
            .expect("a kubeconfig");
            start_controllers(program, folder)
        });
        self.running = Some(Running {
            _controllers: controllers,
            server,
            _etcd: etcd,
        });
        self.wait();
    }

    /// Ends its processes; what they have stored stays.
    pub fn stop(&mut self) {
        self.running = None;
    }

    fn wait(&mut self) {
        wait::until_blocking("the API server to be ready", || {
            let running = self.running.as_mut().expect("it was started");
            if let Some(status) = running.server.ended() {
                let log = fs::read_to_string(self.folder.path().join("kube-apiserver.log"));
                panic!("it ended with {status}: {}", log.unwrap_or_default());
            }
            self.kubectl(&["get", "--raw", "/readyz"], "").map(drop)
        });
    }

    /// A kubeconfig with one context for the user of this token.
    pub fn kubeconfig(&self, context: &str, token: &str) -> String {
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "contexts": [{ "name": context, "context": { "cluster": context, "user": context } }],
            "clusters": [{ "name": context, "cluster": {
                "server": format!("https://127.0.0.1:{}", self.port),
                "insecure-skip-tls-verify": true,
            } }],
            "users": [{ "name": context, "user": { "token": token } }],
        })
        .to_string()
    }

    /// Runs kubectl with an input.
    ///
    /// # Errors
    /// What kubectl says when it fails.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut child = Command::new(&self.programs.kubectl)
            .args(arguments)
            .arg(format!("--server=https://127.0.0.1:{}", self.port))
            .arg(format!("--token={ADMINISTRATOR}"))
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

/// Writes what the servers read: the key of service accounts, and the users.
fn prepare(openssl: &Path, folder: &Path) {
    let made = logged(openssl, folder)
        .args(["genrsa", "-out", "accounts.key", "2048"])
        .status();
    assert!(
        made.expect("openssl starts").success(),
        "openssl makes no key"
    );
    fs::write(
        folder.join("tokens.csv"),
        format!("{ADMINISTRATOR},{ADMINISTRATOR},1,system:masters\n{NOBODY},{NOBODY},2\n"),
    )
    .expect("a file of tokens");
}

fn start_controllers(program: &Path, folder: &Path) -> Group {
    let [port] = free_ports();
    let mut command = logged(program, folder);
    command.args([
        "--kubeconfig=kubeconfig",
        "--service-account-private-key-file=accounts.key",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        &format!("--secure-port={port}"),
        "--cert-dir=controllers",
        CONTROLLERS,
    ]);
    Group::start(&mut command)
}

fn start_server(program: &Path, folder: &Path, etcd: u16, port: u16) -> Group {
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
