//! What runs the lab, as far as verification needs to know: the only way in which a probe learns an address, a
//! password or a fact about the machine, and the only way in which falsification breaks what it cannot break itself.

use std::{error::Error, fmt, net::SocketAddr};

use blueprint::{Account, Component};
use futures_util::future::BoxFuture;

use crate::kubernetes::Kubernetes;

/// An engine: plain processes on this machine, or a Kubernetes cluster.
///
/// Every answer describes the lab as it is at the time of the call; nothing is cached here.
pub trait Engine: Send + Sync {
    /// The engine's name in reports and on the command line, for example `host`.
    fn name(&self) -> &'static str;

    /// The lab's name, for example `default`.
    fn lab(&self) -> &str;

    /// The namespace that the component's logs and metrics are labelled with.
    fn namespace(&self, component: Component) -> String {
        component.namespace().to_owned()
    }

    /// Whether the component exists in this engine and on this machine. A component that should run and has crashed
    /// is present: its arrows are broken, not absent.
    fn presence(&self, component: Component) -> Presence;

    /// The local address on which the component's port of this name answers; a cluster engine forwards the port.
    ///
    /// # Errors
    /// When the component has no such port or cannot be reached at all.
    fn address(
        &self,
        component: Component,
        port: &str,
    ) -> BoxFuture<'_, Result<SocketAddr, EngineError>>;

    /// The password of the account.
    ///
    /// # Errors
    /// When it was never made or cannot be read.
    fn password(&self, account: Account) -> Result<String, EngineError>;

    /// The machines of the lab with the facts that node-exporter's values are compared with. They come from another
    /// source than node-exporter: the kernel of this machine, or the API server of a cluster.
    ///
    /// # Errors
    /// When the source does not answer.
    fn nodes(&self) -> BoxFuture<'_, Result<Vec<NodeFacts>, EngineError>>;

    /// The API server, of an engine that has one.
    fn kubernetes(&self) -> Option<&dyn Kubernetes> {
        None
    }

    /// Breaks something on purpose. Returns when the fault is in place, not when its effect is seen.
    ///
    /// # Errors
    /// When the fault could not be put in place; the caller heals it all the same.
    fn inject(&self, fault: Fault) -> BoxFuture<'_, Result<(), EngineError>>;

    /// Undoes the fault. It is called after every [`Engine::inject`], also after one that failed or was cancelled half
    /// way, possibly from another runtime, possibly twice: it must be idempotent and must not rely on state that only
    /// a completed `inject` leaves behind. Returns when the cause is gone; the caller waits for the effect.
    ///
    /// # Errors
    /// When the fault may still be in place.
    fn heal(&self, fault: Fault) -> BoxFuture<'_, Result<(), EngineError>>;
}

/// Whether a component exists in an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The component is part of this lab and should answer.
    Present,
    /// The component does not exist here.
    Absent {
        /// Why, as a fragment: "the program `loki` is not on PATH".
        reason: String,
        /// What to do about it, as a sentence or a command to paste.
        remedy: String,
    },
}

/// What an engine knows of one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// The machine's name.
    pub name: String,
    /// Its memory in bytes: `MemTotal` of `/proc/meminfo`, or the node's capacity.
    pub memory_bytes: u64,
    /// When it was started, in seconds since the Unix epoch (`btime` of `/proc/stat`), where the engine knows it.
    pub booted_at_seconds: Option<u64>,
    /// The local address of the node-exporter that runs on this machine.
    pub exporter: SocketAddr,
}

/// Something broken on purpose in a way that only the engine can bring about. Faults of the broker's permissions and
/// of the object store's buckets are not here: they are made through those products' own interfaces, on every engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The component answers nothing and is not brought back: its processes are suspended or ended, its workload is
    /// scaled to zero.
    Stopped(Component),
    /// `from` finds nothing where it expects `to`: its configuration (scrape targets, data source, push address)
    /// names an address at which nobody listens, or the network refuses the connection. Both run on. Where `from` is
    /// Prometheus and `to` is Blackbox, it is the job `services` that is cut.
    LinkCut {
        /// The side that opens the connection.
        from: Component,
        /// The side that is not reached.
        to: Component,
    },
    /// Prometheus scrapes the component without the label `service_name`.
    Unlabelled(Component),
    /// Promtail discovers no log to read, and runs on.
    LogsHidden,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(component) => write!(f, "{component} stopped"),
            Self::LinkCut { from, to } => write!(f, "{from} cut off from {to}"),
            Self::Unlabelled(component) => {
                write!(f, "{component} scraped without its service_name")
            }
            Self::LogsHidden => f.write_str("logs hidden from promtail"),
        }
    }
}

/// An error of the layer below, kept whole for the chain.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why an engine could not answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The component has no port of this name.
    #[error("{component} has no port named `{port}`")]
    UnknownPort {
        /// The component that was asked for.
        component: Component,
        /// The port's name as asked.
        port: String,
    },
    /// The component cannot be reached: it does not run, or its port cannot be forwarded.
    #[error("{component} is out of reach")]
    OutOfReach {
        /// The component that was asked for.
        component: Component,
        /// What the engine saw.
        #[source]
        source: Cause,
    },
    /// The account's password cannot be read.
    #[error("the password of {} is not readable", account.name())]
    Password {
        /// The account that was asked for.
        account: Account,
        /// What the engine saw.
        #[source]
        source: Cause,
    },
    /// The facts about the machines cannot be read.
    #[error("the machines of the lab are not readable")]
    Nodes {
        /// What the engine saw.
        #[source]
        source: Cause,
    },
    /// The API server does not answer a question about the cluster.
    #[error("the API server does not tell {what}")]
    ApiServer {
        /// What was asked for.
        what: String,
        /// What the engine saw.
        #[source]
        source: Cause,
    },
    /// The engine has no means to bring this fault about.
    #[error("this engine cannot bring about `{fault}`")]
    Unsupported {
        /// The fault that was asked for.
        fault: Fault,
    },
    /// The fault could not be injected or healed.
    #[error("the fault `{fault}` could not be {action}")]
    Fault {
        /// The fault that was asked for.
        fault: Fault,
        /// `injected` or `healed`.
        action: &'static str,
        /// What the engine saw.
        #[source]
        source: Cause,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_can_be_shared_behind_a_pointer() {
        fn shared<T: ?Sized + Send + Sync>() {}
        shared::<dyn Engine>();
    }

    #[test]
    fn an_error_names_its_object_and_leaves_the_cause_to_the_chain() {
        let error = EngineError::Password {
            account: Account::GrafanaAdmin,
            source: "no such file".into(),
        };
        assert_eq!(
            error.to_string(),
            "the password of grafana-admin is not readable"
        );
        assert!(error.source().is_some());
    }
}
