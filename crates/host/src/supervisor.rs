//! The process that owns a lab's units: it starts them, keeps them running, and ends them with everything they made.

mod back_off;
mod board;
mod group;
mod output;
mod runner;

use std::{collections::BTreeMap, fs};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    signal::unix::{SignalKind, signal},
};
use uuid::Uuid;

use self::{board::Board, runner::Runner};
use crate::{HostError, Reply, Request, Unit, UnitState, UnitStatus, control::short_path};
use lab::{Lab, LabError};

/// Runs a lab's units until it is asked to shut down, by request, SIGTERM or SIGINT.
///
/// # Errors
/// When another supervisor of the lab is alive or the socket cannot be made.
pub async fn run(lab: Lab, instance: Uuid) -> Result<(), HostError> {
    let Some(_lock) = lab.lock_for_supervision()? else {
        return Err(LabError::Busy {
            path: lab.directory().to_owned(),
        }
        .into());
    };
    detach();
    let listener = listen(&lab)?;
    let file = |source| HostError::file("listen on", lab.socket())(source);
    let mut terminate = signal(SignalKind::terminate()).map_err(file)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(file)?;
    // Readiness is asked on loopback, never through a proxy that the environment names.
    let http = reqwest::Client::builder()
        .no_proxy()
        .build()
        .map_err(|error| file(std::io::Error::other(error)))?;
    let mut supervisor = Supervisor::new(instance, http);
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // The client is gone again, which is its own affair.
                Err(_) => continue,
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        if supervisor.serve(stream).await == Next::Exit {
            break;
        }
    }
    supervisor.stop_all().await;
    match fs::remove_file(lab.socket()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(HostError::file("remove", lab.socket())(error))
        }
        _ => Ok(()),
    }
}

/// Leaves the terminal's session, so that closing the terminal does not end the lab, and adopts orphans of units, so
/// that they can be reaped.
fn detach() {
    // Fails only for a process group leader, which a supervisor started by hand is; it then stays in its session.
    let _ = rustix::process::setsid();
    #[cfg(target_os = "linux")]
    {
        // Without it orphans go to process 1, which is the system's duty anyway.
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    }
}

fn listen(lab: &Lab) -> Result<UnixListener, HostError> {
    let socket = lab.socket();
    // The lock is held, so a socket that exists belongs to a supervisor that was killed.
    match fs::remove_file(&socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(HostError::file("remove", socket)(error));
        }
        _ => {}
    }
    short_path(lab.directory())
        .and_then(|(_directory, path)| UnixListener::bind(path))
        .map_err(HostError::file("listen on", socket))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Serve,
    Exit,
}

struct Supervisor {
    board: Board,
    instance: Uuid,
    http: reqwest::Client,
    runners: BTreeMap<String, Runner>,
}

impl Supervisor {
    fn new(instance: Uuid, http: reqwest::Client) -> Self {
        Self {
            board: Board::default(),
            instance,
            http,
            runners: BTreeMap::new(),
        }
    }

    async fn serve(&mut self, stream: UnixStream) -> Next {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        if stream.read_line(&mut line).await.is_err() {
            return Next::Serve;
        }
        let (reply, next) = match serde_json::from_str::<Request>(&line) {
            Ok(request) => self.carry_out(request).await,
            Err(error) => (Reply::Refused(error.to_string()), Next::Serve),
        };
        if let Ok(mut answer) = serde_json::to_vec(&reply) {
            answer.push(b'\n');
            // The request was carried out whether or not the client still listens.
            let _ = stream.get_mut().write_all(&answer).await;
        }
        next
    }

    async fn carry_out(&mut self, request: Request) -> (Reply, Next) {
        let mut next = Next::Serve;
        match request {
            Request::Status => {}
            Request::Apply { units } => self.apply(units).await,
            Request::Stop { component } => {
                for runner in self.of(component) {
                    runner.stop().await;
                }
            }
            Request::Start { component } => {
                for runner in self.of(component) {
                    runner.start().await;
                }
            }
            Request::Reload { component } => {
                for runner in self.of(component) {
                    runner.reload().await;
                }
            }
            Request::Shutdown => {
                self.stop_all().await;
                next = Next::Exit;
            }
        }
        (Reply::Units(self.statuses()), next)
    }

    fn of(&self, component: blueprint::Component) -> impl Iterator<Item = &Runner> {
        self.runners
            .values()
            .filter(move |runner| runner.unit().component == component)
    }

    fn statuses(&self) -> Vec<UnitStatus> {
        self.board.all()
    }

    /// Makes `units` the lab's units, touching only what differs.
    async fn apply(&mut self, units: Vec<Unit>) {
        let wanted: BTreeMap<_, _> = units
            .into_iter()
            .map(|unit| (unit.name.clone(), unit))
            .collect();
        let outdated: Vec<String> = self
            .runners
            .iter()
            .filter(|(name, runner)| wanted.get(*name) != Some(runner.unit()))
            .map(|(name, _)| name.clone())
            .collect();
        self.retire(outdated).await;
        for (name, unit) in wanted {
            match self.runners.get(&name) {
                Some(runner) => runner.start().await,
                None => {
                    let runner =
                        Runner::spawn(unit, self.board.clone(), self.instance, self.http.clone());
                    self.runners.insert(name, runner);
                }
            }
        }
    }

    async fn stop_all(&mut self) {
        self.retire(self.runners.keys().cloned().collect()).await;
    }

    /// Ends units, those first that no other of them waits for: the workload drains before its broker goes.
    async fn retire(&mut self, names: Vec<String>) {
        let mut left: BTreeMap<String, Runner> = names
            .into_iter()
            .filter_map(|name| self.runners.remove_entry(&name))
            .collect();
        while !left.is_empty() {
            let needed: Vec<String> = left
                .values()
                .flat_map(|runner| runner.unit().after.clone())
                .collect();
            let mut leaves: Vec<String> = left
                .keys()
                .filter(|name| !needed.contains(name))
                .cloned()
                .collect();
            if leaves.is_empty() {
                // A cycle cannot come from `plan`; a request that holds one must not hang the supervisor.
                leaves = left.keys().cloned().collect();
            }
            let ending = leaves
                .iter()
                .filter_map(|name| left.remove(name))
                .map(Runner::retire);
            futures_util::future::join_all(ending).await;
            for name in leaves {
                self.board.remove(&name);
            }
        }
    }
}

/// Whether every unit in a status has said that it is ready.
pub fn all_ready(units: &[UnitStatus]) -> bool {
    !units.is_empty() && units.iter().all(|status| status.state == UnitState::Ready)
}
