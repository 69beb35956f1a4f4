//! Every arrow of the diagrams, proven or broken on the running lab.
//!
//! [`verify`] asks each arrow's probe, all at once. A probe proves content that passed through the arrow (a value, a
//! message, an object), never that something is ready. [`falsify`] breaks each arrow on purpose and demands that its
//! probe notices. Both see the lab only through an [`Engine`].

mod client;
mod cluster_metrics;
mod context;
mod dead_letters;
mod engine;
mod falsification;
mod finding;
mod gitops;
mod kubernetes;
mod logs;
mod metrics;
mod observer;
mod poll;
mod probe;
mod profiles;
mod report;
mod scrape;
mod tracers;
mod verification;
mod workload;

pub use engine::{Cause, Engine, EngineError, Fault, NodeFacts, Presence};
pub use falsification::falsify;
pub use kubernetes::{ApplicationFacts, Kubernetes, Measured, NodeUsage, TrackedObject};
pub use logs::leave_delete_request;
pub use observer::{Observer, Phase};
pub use report::{ArrowReport, Falsification, Outcome, Report, Status, Summary, TableStyle};
pub use verification::{Options, verify};
