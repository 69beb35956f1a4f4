//! The broker under test, as its operator handles it: `rabbitmqctl` and the management API.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use blueprint::{Account, Component};
use host::{MARK, Plan, Unit};
use lab::{Lab, broker_users, passwords, write_if_changed};
use messaging::{
    broker::{BrokerSettings, PasswordSource},
    dead_letter::{self, DeadLetter},
    topology::{EXCHANGE, QUEUE, VHOST},
};
use reqwest::Method;
use tokio::{process::Command, time::timeout};
use uuid::Uuid;

use crate::{
    ChaosError,
    admin::{client, told},
    queue_names, wait,
};

/// `rabbitmqctl` starts an Erlang node of its own, which takes seconds on a busy machine.
const COMMAND: Duration = Duration::from_secs(60);

/// How long the names of the queues may take to reach the disk; it happens within about a second.
const SAVING: Duration = Duration::from_secs(30);

/// How long the management API may take to be there, which starts after the broker takes connections.
const MANAGEMENT: Duration = Duration::from_secs(30);

/// A broker of the host engine.
pub(crate) struct Broker {
    pub(crate) amqp: u16,
    management: u16,
    unit: Unit,
    instance: Uuid,
    lab: Lab,
    topology: PathBuf,
    http: reqwest::Client,
}

impl Broker {
    pub(super) fn of(
        plan: &Plan,
        lab: &Lab,
        instance: Uuid,
        manifests: &Path,
    ) -> Result<Self, ChaosError> {
        let component = Component::Rabbitmq;
        let port = |name| plan.ports.get(component, name).unwrap_or_default();
        let unit = plan
            .units
            .iter()
            .find(|unit| unit.name == component.name())
            .cloned()
            .unwrap_or_else(|| unreachable!("a plan has a broker, or is none"));
        Ok(Self {
            amqp: port("amqp"),
            management: port("management"),
            unit,
            instance,
            lab: lab.clone(),
            topology: manifests.join("rabbitmq/topology.json"),
            http: client()?,
        })
    }

    /// Its version.
    pub(crate) fn version(&self) -> &str {
        &self.unit.version
    }

    /// Runs `rabbitmqctl` on it.
    pub(crate) async fn control(&self, arguments: &[&str]) -> Result<(), ChaosError> {
        let program = self.unit.program.with_file_name("rabbitmqctl");
        let failed = |said: String| ChaosError::Command {
            command: format!("rabbitmqctl {}", arguments.join(" ")),
            said,
        };
        let run = Command::new(program)
            .args(arguments)
            .envs(&self.unit.environment)
            .env(MARK, self.instance.to_string())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = timeout(COMMAND, run)
            .await
            .map_err(|_| failed(format!("it did not end within {} s", COMMAND.as_secs())))?
            .map_err(|error| failed(error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(failed(String::from_utf8_lossy(&said).trim().to_owned()))
    }

    /// Waits until a kill would leave it its queues.
    pub(crate) async fn queue_names_saved(&self) -> Result<(), ChaosError> {
        let setting = |name: &str| {
            let value = self.unit.environment.get(name);
            value.cloned().unwrap_or_default()
        };
        let mnesia = PathBuf::from(setting("RABBITMQ_MNESIA_BASE"));
        let node = setting("RABBITMQ_NODENAME");
        wait::until("the queues' names on the disk", SAVING, async || {
            queue_names::are_saved(&mnesia, &node)
        })
        .await
    }

    /// Takes the queue's binding away: publishes come back as unroutable.
    pub(crate) async fn unbind_queue(&self) -> Result<(), ChaosError> {
        // The management API names a binding by its routing key, `work.#`.
        let path = format!("bindings/{VHOST}/e/{EXCHANGE}/q/{QUEUE}/work.%23");
        self.manage(Method::DELETE, &path, None).await
    }

    /// Deletes the queue with all that is in it.
    pub(crate) async fn delete_queue(&self) -> Result<(), ChaosError> {
        self.manage(Method::DELETE, &format!("queues/{VHOST}/{QUEUE}"), None)
            .await
    }

    /// Loads the topology of the manifests, as it is loaded at every start.
    pub(crate) async fn restore_topology(&self) -> Result<(), ChaosError> {
        let path = &self.topology;
        let text =
            fs::read_to_string(path).map_err(ChaosError::io(format!("read {}", path.display())))?;
        self.manage(Method::POST, "definitions", Some(text)).await
    }

    /// Makes the passwords in the lab's files the broker's own, now and at every start.
    pub(crate) async fn take_passwords(&self) -> Result<(), ChaosError> {
        let users = broker_users(|account| passwords::read(&self.lab, account))?;
        let path = self.lab.config(Component::Rabbitmq);
        write_if_changed(&path.join("definitions/00-users.json"), users.as_bytes())?;
        self.manage(Method::POST, "definitions", Some(users)).await
    }

    /// What lies in the dead-letter queue.
    pub(crate) async fn dead_letters(&self) -> Result<Vec<DeadLetter>, ChaosError> {
        let account = Account::RabbitmqOperator;
        let settings = BrokerSettings {
            host: "127.0.0.1".to_owned(),
            port: self.amqp,
            vhost: VHOST.to_owned(),
            username: account.username().to_owned(),
            password: PasswordSource::File(passwords::path(&self.lab, account)),
            heartbeat: Duration::from_secs(10),
            connection_name: "chaos".to_owned(),
        };
        Ok(dead_letter::list(&settings).await?)
    }

    /// Asks the management API as the operator, as soon as it answers.
    async fn manage(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<(), ChaosError> {
        let operator = Account::RabbitmqOperator;
        let password = passwords::read(&self.lab, operator)?;
        let request = format!("{method} {path}");
        let url = format!("http://127.0.0.1:{}/api/{path}", self.management);
        let response = wait::until(&request, MANAGEMENT, async || {
            let mut request = self
                .http
                .request(method.clone(), &url)
                .basic_auth(operator.username(), Some(&password))
                .header("content-type", "application/json");
            if let Some(body) = &body {
                request = request.body(body.clone());
            }
            request.send().await.map_err(told)
        })
        .await?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let text = response.text().await.unwrap_or_else(told);
        Err(ChaosError::Management {
            request,
            answer: format!("{status} {text}"),
        })
    }
}
