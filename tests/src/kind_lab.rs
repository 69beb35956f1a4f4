//! A lab of the kind engine without a container engine: `docker` and `kind` are played by the test, and what they start is
//! real: the registry, and an API server in the place of the cluster. Kubelet and Argo CD are played, too.

mod argo_cd;
mod engine;
mod installation;
mod run;
mod socket;

use std::{fs, net::TcpStream, path::PathBuf, process::Command};

use lab::{Cluster, Lab, LabFile};
use tempfile::TempDir;

pub use self::{
    argo_cd::{patch, pods, set_status},
    engine::Engine,
    installation::{pin, sha256},
    run::{Next, Said},
    socket::{Answer, Question, SOCKET},
};
use self::{run::run, socket::Server};
use crate::{
    api_server::{self, ApiServer},
    command_line, program, require,
};

/// A machine with a container engine, kind and kustomize, and one lab on it. Dropping it ends whatever was started.
pub struct KindLab {
    // Dropped in this order: what answers, then the folder that it works in.
    server: Server,
    kustomize: PathBuf,
    folder: TempDir,
}

/// The owners of a lab's ports, as `lab.json` has them.
const PORTS: [&str; 8] = [
    "registry/http",
    "argocd/http",
    "grafana/http",
    "prometheus/http",
    "alertmanager/http",
    "minio/console",
    "pyroscope/http",
    "rabbitmq/management",
];

impl KindLab {
    /// Such a machine, or the test `test` skipped by name where a program is missing.
    pub fn new(test: &str) -> Option<Self> {
        let kustomize = require::program(test, "kustomize")?;
        let registry = require::program(test, "docker-registry")?;
        let cluster = api_server::Programs::find(test)?.with_controllers(test)?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        for directory in ["bin", "home", "state", "tmp"] {
            fs::create_dir(path.join(directory)).expect("a directory");
        }
        installation::make(&path.join("installation"));
        let engine = Engine::new(registry, cluster, path.join("home"));
        let lab = Self {
            server: Server::start(&path.join("engine.sock"), engine),
            kustomize,
            folder,
        };
        let fake = command_line::program("fake-engine");
        for name in ["docker", "kind"] {
            lab.link(name, &fake);
        }
        lab.link("kustomize", &lab.kustomize);
        lab.choose_ports();
        Some(lab)
    }

    /// Ports that no other test takes: the preferred ones are everybody's.
    fn choose_ports(&self) {
        let lab = Lab::at(&self.state(), "default");
        let mut file: LabFile = lab
            .load_or_create(&lab::Engine::Kind(Cluster {
                context: String::new(),
                registry: String::new(),
                pulled_from: String::new(),
                plain_http: true,
                namespace_prefix: String::new(),
                storage_class: None,
            }))
            .expect("a state directory");
        let ports: [u16; PORTS.len()] = program::free_ports();
        file.ports = PORTS.map(str::to_owned).into_iter().zip(ports).collect();
        lab.save(&file).expect("a state directory");
    }

    fn link(&self, name: &str, target: &std::path::Path) {
        let link = self.folder.path().join("bin").join(name);
        std::os::unix::fs::symlink(target, link).expect("a link");
    }

    /// Takes a program away from the machine.
    pub fn without(&self, name: &str) {
        fs::remove_file(self.folder.path().join("bin").join(name)).expect("a program");
    }

    /// The directory of all labs.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The directory of the lab `default`.
    pub fn directory(&self) -> PathBuf {
        self.state().join("default")
    }

    /// The directory of the lab's manifests.
    pub fn manifests(&self) -> PathBuf {
        self.folder.path().join("installation/manifests")
    }

    /// What the container engine has, and what it should do wrong.
    pub fn engine<T>(&self, look: impl FnOnce(&mut Engine) -> T) -> T {
        self.server.engine(look)
    }

    /// The API server of the lab's cluster.
    ///
    /// # Panics
    /// When there is no cluster.
    pub fn api<T>(&self, ask: impl FnOnce(&mut ApiServer) -> T) -> T {
        self.engine(|engine| ask(engine.api.as_mut().expect("a cluster")))
    }

    /// kubectl on the lab's cluster.
    ///
    /// # Panics
    /// With what kubectl says when it fails.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.kubectl_with(arguments, "")
    }

    /// [`Self::kubectl`] with an input.
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> String {
        self.api(|api| api.kubectl(arguments, input))
            .unwrap_or_else(|said| panic!("kubectl {}: {said}", arguments.join(" ")))
    }

    /// A command of the lab, with nothing of this machine's environment.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let folder = self.folder.path();
        let mut command = Command::new(command_line::program(program));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", folder.join("bin"))
            .env("HOME", folder.join("home"))
            // What a killed command leaves goes with the test.
            .env("TMPDIR", folder.join("tmp"))
            .env("LAB_ROOT", folder.join("installation"))
            .env("LAB_STATE", self.state())
            .env("COLUMNS", "100")
            .env(SOCKET, folder.join("engine.sock"));
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Said {
        self.run_watched(arguments, |_| Next::Go)
    }

    /// Runs a command of another program of the lab to its end.
    pub fn run_as(&self, program: &str, arguments: &[&str]) -> Said {
        run(self.command(program, arguments), |_| Next::Go)
    }

    /// Runs a command; each line of its standard error is shown to `watch`, which may have its whole group killed.
    pub fn run_watched(&self, arguments: &[&str], watch: impl FnMut(&str) -> Next) -> Said {
        run(self.command("lab-cluster", arguments), watch)
    }

    /// Runs a bootstrap that gets its pods and Applications from this test until it says that the lab is up. The
    /// verification behind it finds nobody to speak with, and is left out.
    pub fn bootstrap(&self) -> Said {
        self.bootstrap_watched(|_| Next::Go)
    }

    /// [`Self::bootstrap`], each line shown to `watch` first.
    pub fn bootstrap_watched(&self, mut watch: impl FnMut(&str) -> Next) -> Said {
        self.run_watched(&BOOTSTRAP, |line| {
            if matches!(watch(line), Next::Kill) || line.starts_with("The lab `default` is up") {
                return Next::Kill;
            }
            self.play(line);
            Next::Go
        })
    }

    /// Does what kubelet and Argo CD do when a bootstrap begins to wait for them.
    pub fn play(&self, line: &str) {
        match step(line) {
            Some(("argo cd's pods", "waiting for them")) => argo_cd::make_ready(self),
            Some(("applications", "waiting for Argo CD")) => argo_cd::sync(self, &self.kustomize),
            _ => {}
        }
    }

    /// Applies a directory of the manifests, as Argo CD does.
    ///
    /// # Panics
    /// When the API server refuses.
    pub fn apply(&self, directory: &str) {
        argo_cd::apply(self, &self.kustomize, directory);
    }

    /// The port of this machine that the lab remembers for an owner.
    ///
    /// # Panics
    /// When it remembers none.
    pub fn port(&self, owner: &str) -> u16 {
        let file = Lab::at(&self.state(), "default").load();
        file.expect("lab.json").expect("a lab").ports[owner]
    }

    /// Whether something listens on the registry's port.
    pub fn registry_listens(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port("registry/http"))).is_ok()
    }
}

/// The command that all of this is about.
pub const BOOTSTRAP: [&str; 3] = ["bootstrap", "--engine", "kind"];

/// A progress line's name and words.
pub fn step(line: &str) -> Option<(&str, &str)> {
    let (name, words) = line.split_once("  ")?;
    Some((name, words.trim_start()))
}
