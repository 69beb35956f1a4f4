//! The producer and the consumer as processes, with their admin servers and journals.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

use blueprint::Account;
use messaging::{
    journal::{Ledger, Records, Sequences, compare},
    ranges::RangeSet,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{broker::Broker, command_line::program, group::Group, wait};

/// A running producer or consumer. Dropping it kills it.
pub struct Workload {
    group: Group,
    log: PathBuf,
    errors: PathBuf,
    admin: String,
    http: reqwest::Client,
}

/// The producer's command on this broker, its journal `producer.journal` in `folder`; settings come by environment.
pub fn producer(broker: &Broker, folder: &Path) -> Command {
    command("producer", Account::RabbitmqProducer, broker, folder)
}

/// The consumer's command on this broker, its journal `consumer.journal` in `folder`.
pub fn consumer(broker: &Broker, folder: &Path) -> Command {
    command("consumer", Account::RabbitmqConsumer, broker, folder)
}

fn command(name: &str, account: Account, broker: &Broker, folder: &Path) -> Command {
    let mut command = service(name);
    command
        .env("LAB_BROKER_PORT", broker.port().to_string())
        .env("LAB_PASSWORD", broker.password(account))
        .env("LAB_JOURNAL", folder.join(format!("{name}.journal")));
    command
}

/// A service's command with no setting but a free admin port.
pub fn service(name: &str) -> Command {
    let mut command = Command::new(program(name));
    command
        .env_clear()
        .env("LAB_ADMIN_ADDRESS", "127.0.0.1:0")
        .stdin(Stdio::null());
    command
}

/// What the two journals in `folder` say together.
pub fn ledger(folder: &Path) -> Ledger {
    compare(&journal(folder, "producer"), &journal(folder, "consumer"))
}

/// What the journal of a service in `folder` says.
pub fn journal(folder: &Path, service: &str) -> Records {
    Records::read(&folder.join(format!("{service}.journal"))).expect("a readable journal")
}

/// How many messages a part of a journal names.
pub fn count(sequences: &Sequences) -> u64 {
    sequences.values().map(RangeSet::len).sum()
}

impl Workload {
    /// Starts a service whose logs go into `folder` and waits for its admin server.
    pub async fn start(mut command: Command, folder: &Path) -> Self {
        let file = |kind: &str| {
            let name = Path::new(command.get_program())
                .file_name()
                .expect("a program")
                .to_string_lossy()
                .into_owned();
            folder.join(format!("{name}-{}.{kind}", fastrand::u32(..)))
        };
        let (log, errors) = (file("log"), file("err"));
        command
            .stdout(File::create(&log).expect("a log file"))
            .stderr(File::create(&errors).expect("an error file"));
        let group = Group::start(&mut command);
        let mut workload = Self {
            group,
            log,
            errors,
            admin: String::new(),
            http: crate::http::client(),
        };
        workload.admin = wait::until("an admin server", async || {
            if let Some(status) = workload.group.ended() {
                panic!("the service ended with {status}: {}", workload.errors());
            }
            let line = workload.logged("the admin server listens");
            line.and_then(|line| Some(line["address"].as_str()?.to_owned()))
                .ok_or("no line in its log")
        })
        .await;
        workload
    }

    /// Starts a service and waits until it is ready.
    pub async fn start_ready(command: Command, folder: &Path) -> Self {
        let workload = Self::start(command, folder).await;
        workload.ready().await;
        workload
    }

    /// Waits until the service is ready.
    pub async fn ready(&self) {
        wait::until("a ready service", async || match self.readiness().await {
            (StatusCode::OK, _) => Ok(()),
            (_, reason) => Err(reason),
        })
        .await;
    }

    /// Waits until the service is not ready for a reason that contains `part`; returns the whole reason.
    pub async fn not_ready(&self, part: &str) -> String {
        wait::until(&format!("a reason with `{part}`"), async || {
            match self.readiness().await {
                (StatusCode::OK, _) => Err("ready".to_owned()),
                (_, reason) if reason.contains(part) => Ok(reason),
                (_, reason) => Err(reason),
            }
        })
        .await
    }

    /// What `/readyz` says.
    pub async fn readiness(&self) -> (StatusCode, String) {
        self.get_text("readyz").await
    }

    /// The value of a metric without labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get_text("metrics").await;
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
            .unwrap_or_else(|| panic!("no metric {name} in\n{text}"))
    }

    /// Waits until a metric is at least `least`.
    pub async fn metric_reaches(&self, name: &str, least: f64) {
        wait::until(&format!("{name} to reach {least}"), async || {
            let value = self.metric(name).await;
            if value >= least {
                return Ok(());
            }
            let (_, readiness) = self.readiness().await;
            Err(format!("{value}, and the service says: {readiness}"))
        })
        .await;
    }

    /// Publishes a tracer message; the status and the answer.
    pub async fn send_tracer(&self, kind: &str) -> (StatusCode, Value) {
        let request = self
            .http
            .post(format!("http://{}/tracer", self.admin))
            .json(&json!({ "kind": kind }));
        let response = request.send().await.expect("an admin server");
        (
            response.status(),
            response.json().await.expect("a JSON answer"),
        )
    }

    /// What the consumer knows of a tracer message.
    pub async fn tracer(&self, message_id: &str) -> (StatusCode, Value) {
        let (status, text) = self.get_text(&format!("tracer/{message_id}")).await;
        (status, serde_json::from_str(&text).expect("a JSON answer"))
    }

    /// Kills the service without a warning.
    pub fn kill(&mut self) {
        self.group.kill();
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(&mut self) -> ExitStatus {
        self.group.terminate();
        self.group.wait()
    }

    /// Waits for an end that nobody asked for.
    pub fn wait(&mut self) -> ExitStatus {
        self.group.wait()
    }

    /// Waits for a line of the log with this message, and returns the last one.
    pub async fn logs(&self, message: &str) -> Value {
        wait::until(&format!("the log line `{message}`"), async || {
            self.logged(message).ok_or("no such line")
        })
        .await
    }

    fn logged(&self, message: &str) -> Option<Value> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        text.lines()
            .rev()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|line| line["message"] == message)
    }

    /// What the service wrote to standard error.
    pub fn errors(&self) -> String {
        let mut text = String::new();
        File::open(&self.errors)
            .and_then(|mut file| file.read_to_string(&mut text))
            .expect("the error file");
        text
    }

    async fn get_text(&self, path: &str) -> (StatusCode, String) {
        let url = format!("http://{}/{path}", self.admin);
        let response = self.http.get(url).send().await.expect("an admin server");
        let status = response.status();
        (status, response.text().await.expect("a text"))
    }
}
