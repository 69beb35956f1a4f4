//! A real registry for one test: Debian's `docker-registry` on a free port of 127.0.0.1, gone with the test.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{group::Group, program, require, wait};

/// A running registry. Dropping it ends it and removes its folder.
pub struct Registry {
    // Dropped in this order: the server, then the folder that it works in.
    server: Group,
    folder: TempDir,
    port: u16,
    program: PathBuf,
}

impl Registry {
    /// Starts one, or skips the test `test` on a machine without it.
    pub fn start(test: &str) -> Option<Self> {
        Self::start_with(test, |_| String::new())
    }

    /// Starts one with further lines of its configuration, which may name files that `prepare` writes into the folder.
    pub fn start_with(test: &str, prepare: impl FnOnce(&Path) -> String) -> Option<Self> {
        let program = require::program(test, "docker-registry")?;
        let [port] = program::free_ports();
        Some(Self::at(&program, port, prepare))
    }

    /// Starts one on this port; otherwise as [`Registry::start_with`].
    pub fn at(program: &Path, port: u16, prepare: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let more = prepare(folder.path());
        let configuration = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n  secret: one\n{more}\n",
            folder.path().join("storage").display(),
        );
        fs::write(folder.path().join("config.yml"), configuration).expect("a writable folder");
        let registry = Self {
            server: serve(program, folder.path()),
            folder,
            port,
            program: program.to_owned(),
        };
        registry.ready()
    }

    /// Starts it again on what it has stored.
    pub fn resume(&mut self, program: &Path) {
        self.server = serve(program, self.folder.path());
        self.wait();
    }

    /// Ends it.
    pub fn end(&mut self) {
        self.server.kill();
    }

    /// Ends it and starts it again: its log holds what comes from here on, and nothing that was late.
    pub fn restart(&mut self) {
        self.end();
        let program = self.program.clone();
        self.resume(&program);
    }

    /// Its host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its folder, gone with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file in which it keeps a blob, by the 64 digits of its digest.
    pub fn blob(&self, hex: &str) -> PathBuf {
        let blobs = "storage/docker/registry/v2/blobs/sha256";
        let folder = self.folder.path().join(blobs).join(&hex[..2]);
        folder.join(hex).join("data")
    }

    /// The requests that it has answered, as in `GET /v2/lab/x/manifests/1 200`.
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join(LOG)).expect("its log");
        log.lines().filter_map(request).collect()
    }

    fn ready(self) -> Self {
        self.wait();
        self
    }

    fn wait(&self) {
        wait::until_blocking("the registry to listen", || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).map(drop)
        });
    }
}

const LOG: &str = "registry.log";

fn serve(program: &Path, folder: &Path) -> Group {
    let log = File::create(folder.join(LOG)).expect("a writable folder");
    let mut command = Command::new(program);
    command
        .arg("serve")
        .arg(folder.join("config.yml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("an open file"))
        .stderr(log);
    Group::start(&mut command)
}

/// Reads the request and its status out of a line of the access log, in Apache's combined format.
fn request(line: &str) -> Option<String> {
    let mut parts = line.split('"').skip(1);
    let request = parts.next()?.strip_suffix(" HTTP/1.1")?;
    let status = parts.next()?.split_whitespace().next()?;
    Some(format!("{request} {status}"))
}
