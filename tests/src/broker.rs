//! A real RabbitMQ for one test: on free ports of 127.0.0.1, in a folder of its own, gone with the test.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use blueprint::Account;
use messaging::{
    broker::{BrokerSettings, PasswordSource},
    topology::VHOST,
};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use crate::{config::manifests, group::Group, require, wait};
use files::Ports;

mod files;

/// Debian's `/usr/sbin/rabbitmq-server` refuses every user but root and `rabbitmq`.
const DEBIAN_PROGRAMS: &str = "/usr/lib/rabbitmq/bin";

/// A running broker with the lab's topology and accounts. Dropping it ends its processes and removes its folder.
pub struct Broker {
    // Dropped in this order: the server, then its port mapper, then the folder that both work in.
    server: Group,
    _epmd: Group,
    program: PathBuf,
    ports: Ports,
    folder: TempDir,
    http: reqwest::Client,
}

impl Broker {
    /// Starts a broker, or skips the test `test` on a machine without RabbitMQ.
    pub async fn start(test: &str) -> Option<Self> {
        Self::start_with(test, "").await
    }

    /// Starts a broker with further lines of `rabbitmq.conf`.
    pub async fn start_with(test: &str, conf: &str) -> Option<Self> {
        let debian = Path::new(DEBIAN_PROGRAMS).join("rabbitmq-server");
        let program = if debian.is_file() {
            debian
        } else {
            require::program(test, "rabbitmq-server")?
        };
        let epmd = require::program(test, "epmd")?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ports = Ports::choose();
        files::write(folder.path(), &ports, conf);
        let epmd = start_epmd(&epmd, folder.path(), &ports);
        let server = start_server(&program, folder.path(), &ports);
        let mut broker = Self {
            server,
            _epmd: epmd,
            program,
            ports,
            folder,
            http: crate::http::client(),
        };
        broker.ready().await;
        Some(broker)
    }

    /// The AMQP port.
    pub fn port(&self) -> u16 {
        self.ports.amqp
    }

    /// An account's password.
    pub fn password(&self, account: Account) -> String {
        files::password(account)
    }

    /// How a client of the library logs in as this account.
    pub fn settings(&self, account: Account) -> BrokerSettings {
        BrokerSettings {
            host: "127.0.0.1".to_owned(),
            port: self.port(),
            vhost: VHOST.to_owned(),
            username: account.username().to_owned(),
            password: PasswordSource::Value {
                password: self.password(account),
                origin: "the test".to_owned(),
            },
            heartbeat: Duration::from_secs(10),
            connection_name: "test".to_owned(),
        }
    }

    /// Kills the server as a power failure would: no signal handler runs.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Stops the server's processes where they stand: its sockets stay open, and nobody answers.
    pub fn freeze(&self) {
        self.server.freeze();
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.server.thaw();
    }

    /// Starts a killed server again, with the data that it had.
    pub async fn restart(&mut self) {
        self.server.kill();
        self.server = start_server(&self.program, self.folder.path(), &self.ports);
        self.ready().await;
    }

    /// Asks the management API as the operator: the status, and the JSON of the answer, `null` when it has none.
    pub async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        self.try_ask(method, path, body)
            .await
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Demands success of the management API.
    pub async fn manage(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.ask(method.clone(), path, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    }

    /// Loads the lab's topology anew, as the hint of a missing one says.
    pub async fn restore_topology(&self) {
        let topology = serde_json::from_str(&crate::config::text("rabbitmq/topology.json"))
            .expect("JSON in topology.json");
        self.manage(Method::POST, "definitions", Some(topology))
            .await;
    }

    async fn ready(&mut self) {
        let check = format!("health/checks/port-listener/{}", self.ports.amqp);
        wait::until("the broker to start", async || {
            if let Some(status) = self.server.ended() {
                panic!("the broker ended with {status}:\n{}", self.log());
            }
            match self.try_ask(Method::GET, &check, None).await {
                Ok((StatusCode::OK, _)) => Ok(()),
                Ok((status, answer)) => Err(format!("{status} {answer}")),
                Err(error) => Err(format!("{error}\n{}", self.log())),
            }
        })
        .await;
        wait::until("the queues' names on the disk", async || {
            files::queue_names_are_saved(self.folder.path())
        })
        .await;
    }

    async fn try_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<(StatusCode, Value)> {
        let operator = Account::RabbitmqOperator;
        let url = format!("http://127.0.0.1:{}/api/{path}", self.ports.management);
        let mut request = self
            .http
            .request(method, url)
            .basic_auth(operator.username(), Some(self.password(operator)));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let status = response.status();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or_default()))
    }

    fn log(&self) -> String {
        fs::read_to_string(log_file(self.folder.path())).unwrap_or_default()
    }
}

/// The port mapper would otherwise be started by the server, as a daemon that outlives it.
fn start_epmd(program: &Path, folder: &Path, ports: &Ports) -> Group {
    let mut command = Command::new(program);
    command
        .args(["-port", &ports.epmd.to_string(), "-address", "127.0.0.1"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir(folder);
    let group = Group::start(&mut command);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.epmd));
    wait::until_blocking("epmd to listen", || TcpStream::connect(address).map(drop));
    group
}

fn start_server(program: &Path, folder: &Path, ports: &Ports) -> Group {
    let log = File::options()
        .append(true)
        .create(true)
        .open(log_file(folder))
        .expect("the broker's log file");
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(files::environment(folder, ports, &manifests()))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log);
    Group::start(&mut command)
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("broker.log")
}
