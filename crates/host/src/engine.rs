//! The host engine as verification sees it: local addresses, the kernel's facts, and faults made by rendering the
//! plan again.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use blueprint::{Account, Component};
use futures_util::future::BoxFuture;
use lab::{LabFile, passwords};
use rustix::system::uname;
use verify::{Cause, Engine, EngineError, Fault, NodeFacts, Presence};

use crate::{
    Control, HostError, PlanInput, PortMap, Request, UnitStatus, plan, supervisor::all_ready,
};

/// A running lab on this machine.
#[derive(Debug)]
pub struct HostEngine {
    input: PlanInput,
    file: LabFile,
    ports: PortMap,
}

impl HostEngine {
    /// The engine of a lab that was bootstrapped. Of a running lab it knows what runs; of one that is down, what this
    /// machine could run.
    ///
    /// # Errors
    /// When the lab was never bootstrapped, its state cannot be read, or its supervisor refuses to answer.
    pub async fn of(mut input: PlanInput) -> Result<Self, HostError> {
        let file = input.lab.load()?.ok_or_else(|| HostError::NotRunning {
            path: input.lab.directory().to_owned(),
        })?;
        match Control::of(&input.lab).ask(&Request::Status).await {
            Ok(units) if !units.is_empty() => input.programs = input.programs.of_running(&units),
            Ok(_) | Err(HostError::NotRunning { .. }) => {}
            Err(error) => return Err(error),
        }
        let ports = PortMap::remembered(&file.ports);
        Ok(Self { input, file, ports })
    }

    /// The port on which a component of this lab listens.
    pub fn port(&self, component: Component, port: &str) -> Option<u16> {
        self.ports.get(component, port)
    }

    /// The address of the component's page for people; `None` when it has none, or is not part of the lab.
    pub fn page(&self, component: Component) -> Option<String> {
        let port = match component {
            Component::Minio => "console",
            Component::Rabbitmq => "management",
            _ => component.ports()[0].name,
        };
        (self.presence(component) == Presence::Present)
            .then(|| self.port(component, port))
            .flatten()
            .map(|port| format!("http://127.0.0.1:{port}"))
    }

    fn control(&self) -> Control {
        Control::of(&self.input.lab)
    }

    /// Renders the plan under a fault, or without one, and makes it so.
    async fn apply(&self, faults: &[Fault]) -> Result<Vec<UnitStatus>, HostError> {
        let plan = plan(&self.input, &mut self.file.clone(), true, faults)?;
        plan.apply(&self.control()).await
    }
}

impl Engine for HostEngine {
    fn name(&self) -> &'static str {
        "host"
    }

    fn lab(&self) -> &str {
        self.input.lab.name()
    }

    fn presence(&self, component: Component) -> Presence {
        self.input.presence(component)
    }

    fn address(
        &self,
        component: Component,
        port: &str,
    ) -> BoxFuture<'_, Result<SocketAddr, EngineError>> {
        let address = self
            .port(component, port)
            .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            .ok_or_else(|| EngineError::UnknownPort {
                component,
                port: port.to_owned(),
            });
        Box::pin(async { address })
    }

    fn password(&self, account: Account) -> Result<String, EngineError> {
        passwords::read(&self.input.lab, account).map_err(|source| EngineError::Password {
            account,
            source: source.into(),
        })
    }

    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeFacts>, EngineError>> {
        Box::pin(async {
            let exporter = self.address(Component::NodeExporter, "metrics").await?;
            let facts = this_machine(exporter).map_err(|source| EngineError::Nodes { source })?;
            Ok(vec![facts])
        })
    }

    fn inject(&self, fault: Fault) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            let done = match fault {
                Fault::Stopped(component) => self.control().ask(&Request::Stop { component }).await,
                Fault::LinkCut { .. } | Fault::Unlabelled(_) | Fault::LogsHidden => {
                    self.apply(&[fault]).await
                }
            };
            done.map(drop).map_err(|source| EngineError::Fault {
                fault,
                action: "injected",
                source: source.into(),
            })
        })
    }

    fn heal(&self, fault: Fault) -> BoxFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            // The plan without faults starts what was stopped and restarts what was rendered otherwise.
            self.apply(&[]).await.map_err(|source| EngineError::Fault {
                fault,
                action: "healed",
                source: source.into(),
            })?;
            self.all_ready().await;
            Ok(())
        })
    }
}

impl HostEngine {
    /// Waits for every unit to be ready again; the caller's probe says what is wrong when it takes too long.
    async fn all_ready(&self) {
        const BOUND: Duration = Duration::from_secs(60);
        const INTERVAL: Duration = Duration::from_millis(100);
        let wait = async {
            while !self
                .control()
                .ask(&Request::Status)
                .await
                .is_ok_and(|units| all_ready(&units))
            {
                tokio::time::sleep(INTERVAL).await;
            }
        };
        // Elapsing is no error here.
        let _ = tokio::time::timeout(BOUND, wait).await;
    }
}

/// What the kernel says of this machine, from `/proc`.
fn this_machine(exporter: SocketAddr) -> Result<NodeFacts, Cause> {
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let kibibytes = field(&meminfo, "MemTotal:").ok_or("/proc/meminfo has no MemTotal")?;
    let stat = fs::read_to_string("/proc/stat")?;
    Ok(NodeFacts {
        name: uname().nodename().to_string_lossy().into_owned(),
        memory_bytes: kibibytes * 1024,
        booted_at_seconds: field(&stat, "btime"),
        exporter,
    })
}

/// The first number behind a key that starts a line.
fn field(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(key))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_how_much_memory_there_is_and_since_when() {
        let facts = this_machine(SocketAddr::from((Ipv4Addr::LOCALHOST, 9100))).unwrap();
        assert!(facts.memory_bytes > 64 << 20);
        assert!(
            facts
                .booted_at_seconds
                .is_some_and(|time| time > 1_000_000_000)
        );
    }
}
