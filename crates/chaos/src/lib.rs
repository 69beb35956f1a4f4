//! Chaos: a workload under load, a seeded schedule of faults, and a judge.
//!
//! A [`campaign`] takes the faults one after another from a [`schedule`]. Each begins after so many confirmed messages, ends
//! by a condition, and is over when a message that was published after it is confirmed and handled. The [`judge`] reads the
//! journals and the dead-letter queue, and nothing else. What is broken is a [`Site`]: a lab of the campaign's own that the
//! host engine brings up, with a [`proxy`] between each service and the broker; or one that runs on a cluster, of which the
//! cluster engine knows how to reach and to break it.

mod admin;
pub mod campaign;
pub mod command;
mod error;
mod journals;
pub mod judge;
pub mod poison;
pub mod proxy;
pub mod queue_names;
mod repetitions;
pub mod report;
pub mod schedule;
mod site;
mod steady;
pub mod wait;

pub use admin::{Admin, Receipt};
pub use campaign::{Campaign, HostLab, run};
pub use error::{ChaosError, of_host};
pub use journals::{Journals, Writers};
pub use report::Report;
pub use site::Site;
