//! The host engine: the lab as plain processes on one machine, without container, cluster or root.
//!
//! [`lab::Lab`] is a lab's directory. [`plan`] turns `manifests/`, the programs found on this machine and the lab's ports
//! into [`Unit`]s; the [`supervisor`] runs them in process groups of their own, in dependency order, restarted with
//! back-off, their output written as CRI logs; [`Control`] talks to it; [`HostEngine`] lets verification ask it.
//!
//! Nothing is written outside the lab's directory, and every listener is bound to 127.0.0.1.

mod component;
mod control;
mod cri;
mod discovery;
mod engine;
mod error;
mod fingerprint;
mod leftovers;
mod lifecycle;
mod minio_admin;
mod names;
mod plan;
mod ports;
mod programs;
mod readiness;
pub mod supervisor;
mod unit;

pub use control::{Control, Reply, Request, UnitState, UnitStatus};
pub use engine::HostEngine;
pub use error::HostError;
pub use leftovers::{Leftover, MARK, end_leftovers, find_leftovers};
pub use lifecycle::{end, shut_down, start_supervisor};
pub use plan::{Plan, PlanInput, plan, plan_of};
pub use ports::{MovedPort, PortMap};
pub use programs::{Missing, Program, Programs, is_on_path};
pub use unit::{Readiness, Unit};
