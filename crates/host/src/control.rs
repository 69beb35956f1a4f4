//! The supervisor's socket: one JSON request a connection, one JSON reply.

use std::{
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    time::Duration,
};

use blueprint::Component;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    time::timeout,
};

use crate::{HostError, Unit, unit::component_name};
use lab::Lab;

/// How long a reply may take; stopping a unit is answered when its processes are gone.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// What the supervisor can be asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// The state of every unit.
    Status,
    /// Make these the units: start new ones, restart changed ones, stop those that are gone, start stopped ones.
    Apply {
        /// All units of the lab.
        units: Vec<Unit>,
    },
    /// Stop a component's units and keep them stopped; answered when their processes are gone.
    Stop {
        /// The component.
        #[serde(with = "component_name")]
        component: Component,
    },
    /// Start a component's stopped units.
    Start {
        /// The component.
        #[serde(with = "component_name")]
        component: Component,
    },
    /// Make a component read its configuration again (SIGHUP).
    Reload {
        /// The component.
        #[serde(with = "component_name")]
        component: Component,
    },
    /// Stop everything in reverse order of dependency and exit.
    Shutdown,
}

impl Request {
    const fn name(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Apply { .. } => "apply",
            Self::Stop { .. } => "stop",
            Self::Start { .. } => "start",
            Self::Reload { .. } => "reload",
            Self::Shutdown => "shutdown",
        }
    }
}

/// The supervisor's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// The units as they are after the request was carried out.
    Units(Vec<UnitStatus>),
    /// Why the request was not carried out.
    Refused(String),
}

/// The phase of a unit's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitState {
    /// Its dependencies are not ready.
    Waiting,
    /// It runs but has not said that it is ready.
    Starting,
    /// It said that it is ready.
    Ready,
    /// It ended by itself and is started again after a pause.
    BackOff,
    /// It was stopped on request.
    Stopped,
}

impl UnitState {
    /// The state's name in tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::BackOff => "back-off",
            Self::Stopped => "stopped",
        }
    }
}

/// What the supervisor knows of a unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitStatus {
    /// The unit.
    pub unit: Unit,
    /// Its phase.
    pub state: UnitState,
    /// The process id of its first process, which is also its process group.
    pub pid: Option<i32>,
    /// How often it was started again after ending by itself.
    pub restarts: u32,
    /// What it is waited for, or why it last ended.
    pub reason: Option<String>,
    /// When its dependencies were ready and its process was started.
    pub started_at: Option<Timestamp>,
    /// When it said that it was ready.
    pub ready_at: Option<Timestamp>,
}

/// A client of a lab's supervisor.
#[derive(Clone, Debug)]
pub struct Control {
    directory: PathBuf,
}

impl Control {
    /// The client for a lab.
    pub fn of(lab: &Lab) -> Self {
        Self {
            directory: lab.directory().to_owned(),
        }
    }

    /// Sends a request and waits for the units as they are afterwards.
    ///
    /// # Errors
    /// [`HostError::NotRunning`] without a supervisor, [`HostError::Refused`] when it says no.
    pub async fn ask(&self, request: &Request) -> Result<Vec<UnitStatus>, HostError> {
        let name = request.name();
        let refused = |reason: String| HostError::Refused {
            request: name,
            reason,
        };
        let mut stream = connect(&self.directory)
            .await
            .map_err(|_| HostError::NotRunning {
                path: self.directory.clone(),
            })?;
        let mut line = serde_json::to_vec(request).map_err(|error| refused(error.to_string()))?;
        line.push(b'\n');
        let exchange = async {
            stream.write_all(&line).await?;
            let mut answer = String::new();
            BufReader::new(stream).read_line(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = timeout(REPLY_TIMEOUT, exchange)
            .await
            .map_err(|_| refused(format!("no answer within {} s", REPLY_TIMEOUT.as_secs())))?
            .map_err(|error| refused(error.to_string()))?;
        match serde_json::from_str(&answer) {
            Ok(Reply::Units(units)) => Ok(units),
            Ok(Reply::Refused(reason)) => Err(refused(reason)),
            Err(error) => Err(refused(format!("its answer is malformed: {error}"))),
        }
    }
}

/// A path of the socket that fits `sockaddr_un` (108 bytes) however deep the lab's directory lies: through this
/// process's descriptor of the directory, which must stay open while the path is used.
pub(crate) fn short_path(directory: &Path) -> std::io::Result<(std::fs::File, PathBuf)> {
    let handle = std::fs::File::open(directory)?;
    let path = if cfg!(target_os = "linux") {
        PathBuf::from(format!("/proc/self/fd/{}", handle.as_raw_fd()))
    } else {
        directory.to_owned()
    };
    Ok((handle, path.join("supervisor.sock")))
}

async fn connect(directory: &Path) -> std::io::Result<UnixStream> {
    let (_directory, path) = short_path(directory)?;
    UnixStream::connect(path).await
}
