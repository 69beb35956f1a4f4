//! The broker that everything is measured on: one of its own, run by the host engine's supervisor, or a given one.

use std::{collections::BTreeMap, fs::File, path::Path, process::Stdio, time::Duration};

use anstream::eprintln;
use blueprint::{Account, Component};
use host::{Control, PlanInput, Programs, Request, UnitStatus, plan_of, supervisor::all_ready};
use lab::{Engine, Lab, passwords};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use terminal::Setting;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use crate::{
    BenchError,
    management::{Management, Overview},
    proc,
};

/// How long a broker may take to start on a busy machine.
const START: Duration = Duration::from_secs(120);

/// How long the supervisor may take to end its units; the broker itself has 30 seconds.
const STOP: Duration = Duration::from_secs(60);

const INTERVAL: Duration = Duration::from_millis(100);

/// A broker.
#[derive(Debug)]
pub struct Broker {
    /// Its management API.
    pub management: Management,
    /// What it says of itself.
    pub overview: Overview,
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    supervisor: Child,
    server_group: i32,
    state: TempDir,
}

impl Broker {
    /// The broker behind a management URL.
    ///
    /// # Errors
    ///
    /// The URL is none, or the broker lacks what is needed.
    pub async fn given(http: reqwest::Client, url: &str) -> Result<Self, BenchError> {
        let management = Management::of(http, url)?;
        Ok(Self {
            overview: management.overview().await?,
            management,
            own: None,
        })
    }

    /// Starts a broker with the lab's configuration, in a temporary directory and on free ports.
    ///
    /// # Errors
    ///
    /// This machine has no RabbitMQ, or it does not start.
    pub async fn start(setting: &Setting, http: reqwest::Client) -> Result<Self, BenchError> {
        let programs = Programs::on_this_machine();
        if programs.missing(Component::Rabbitmq).is_some() {
            return Err(BenchError::NoBroker);
        }
        eprintln!("Starting a broker");
        let state =
            tempfile::tempdir().map_err(BenchError::file("create", std::env::temp_dir()))?;
        let lab = Lab::at(state.path(), "bench");
        let mut file = lab.load_or_create(&Engine::Host)?;
        file.ports = first_ports();
        let input = PlanInput {
            manifests: setting.root.join("manifests"),
            programs,
            producer: setting.programs.join("producer"),
            consumer: setting.programs.join("consumer"),
            lab: lab.clone(),
        };
        let plan = plan_of(&input, &mut file, &[Component::Rabbitmq], false, &[])?;
        let mut supervisor = start_supervisor(&lab, state.path())?;
        let ready = async {
            let control = Control::of(&lab);
            wait_for_supervisor(&control, &mut supervisor, &lab).await?;
            plan.apply(&control).await?;
            let server_group = wait_until_ready(&control).await?;
            let operator = Account::RabbitmqOperator;
            let password = passwords::read(&lab, operator)?;
            let port = plan.ports.get(Component::Rabbitmq, "management");
            let (user, port) = (operator.username(), port.unwrap_or_default());
            let url = format!("http://{user}:{password}@127.0.0.1:{port}");
            Ok((server_group, Self::given(http, &url).await?))
        };
        match ready.await {
            Ok((server_group, broker)) => Ok(Self {
                own: Some(Own {
                    supervisor,
                    server_group,
                    state,
                }),
                ..broker
            }),
            Err(error) => {
                end(supervisor).await?;
                Err(error)
            }
        }
    }

    /// Whether it was started for this measurement.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// CPU time that the broker has used; `None` for a given one, which may be anywhere.
    ///
    /// # Errors
    ///
    /// It has died.
    pub fn cpu(&self) -> Result<Option<Duration>, BenchError> {
        let Some(own) = &self.own else {
            return Ok(None);
        };
        Ok(Some(proc::cpu(&proc::members(own.server_group)?)?))
    }

    /// Ends the broker and removes what it kept; of a given one, only the virtual host goes.
    ///
    /// # Errors
    ///
    /// Something of it is left.
    pub async fn stop(self) -> Result<(), BenchError> {
        let Some(own) = self.own else {
            return self.management.remove_vhost().await;
        };
        end(own.supervisor).await?;
        let path = own.state.path().to_owned();
        own.state.close().map_err(BenchError::file("remove", path))
    }
}

/// Where to look for free ports: far from those that a lab prefers, which may be started meanwhile, and below the range of
/// ephemeral ports.
pub(crate) const PORTS: std::ops::Range<u16> = 20_000..32_000;

fn first_ports() -> BTreeMap<String, u16> {
    let names = Component::Rabbitmq.ports().iter().map(|port| port.name);
    names
        .chain(["epmd", "distribution"])
        .map(|name| {
            (
                format!("{}/{name}", Component::Rabbitmq),
                fastrand::u16(PORTS),
            )
        })
        .collect()
}

/// The supervisor is this program under another name of command; it ends its units when it is told to, or when this process
/// dies.
fn start_supervisor(lab: &Lab, state: &Path) -> Result<Child, BenchError> {
    let log = lab.supervisor_log();
    let file = File::create(&log).map_err(BenchError::file("create", &log))?;
    let errors = file.try_clone().map_err(BenchError::file("open", log))?;
    let start = |source| BenchError::Start {
        program: "the supervisor".to_owned(),
        source,
    };
    Command::new(std::env::current_exe().map_err(start)?)
        .args(["supervise", "--name", lab.name(), "--state"])
        .arg(state)
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .spawn()
        .map_err(start)
}

async fn wait_for_supervisor(
    control: &Control,
    supervisor: &mut Child,
    lab: &Lab,
) -> Result<(), BenchError> {
    let deadline = Instant::now() + START;
    while let Err(error) = control.ask(&Request::Status).await {
        if let Ok(Some(status)) = supervisor.try_wait() {
            return Err(BenchError::Ended {
                program: "the supervisor".to_owned(),
                status: status.to_string(),
                words: std::fs::read_to_string(lab.supervisor_log()).unwrap_or_default(),
            });
        }
        if Instant::now() >= deadline {
            return Err(error.into());
        }
        sleep(INTERVAL).await;
    }
    Ok(())
}

/// Returns the process group of the server.
async fn wait_until_ready(control: &Control) -> Result<i32, BenchError> {
    let deadline = Instant::now() + START;
    loop {
        let units = control.ask(&Request::Status).await?;
        let server = units
            .iter()
            .find(|status| status.unit.name == Component::Rabbitmq.name());
        if all_ready(&units)
            && let Some(pid) = server.and_then(|status| status.pid)
        {
            return Ok(pid);
        }
        if Instant::now() >= deadline {
            return Err(BenchError::GaveUp {
                what: "the broker to start".to_owned(),
                waited: START,
                last: reasons(&units),
            });
        }
        sleep(INTERVAL).await;
    }
}

fn reasons(units: &[UnitStatus]) -> String {
    let reasons: Vec<String> = units
        .iter()
        .filter_map(|status| Some(format!("{}: {}", status.unit.name, status.reason.as_ref()?)))
        .collect();
    reasons.join("; ")
}

async fn end(mut supervisor: Child) -> Result<(), BenchError> {
    if let Some(pid) = supervisor
        .id()
        .and_then(|id| Pid::from_raw(id.cast_signed()))
    {
        // One that has ended meanwhile needs no signal.
        let _ = kill_process(pid, Signal::TERM);
    }
    match timeout(STOP, supervisor.wait()).await {
        Ok(_) => Ok(()),
        Err(_) => Err(BenchError::GaveUp {
            what: "the supervisor to end the broker".to_owned(),
            waited: STOP,
            last: format!("process {:?} runs", supervisor.id()),
        }),
    }
}
