//! Chaos: a broker, a producer and a consumer under load, a seeded schedule of faults, and a judge.
//!
//! A [`campaign`] brings up a lab of its own through the host engine, with a [`proxy`] between each service and the broker,
//! and takes the faults one after another from a [`schedule`]. Each begins after so many confirmed messages, ends by a
//! condition, and is over when a message that was published after it is confirmed and handled. The [`judge`] reads the two
//! journals and the dead-letter queue, and nothing else.

pub mod campaign;
mod error;
mod inject;
mod journals;
pub mod judge;
pub mod proxy;
pub mod queue_names;
pub mod report;
pub mod schedule;
mod site;
mod steady;
mod wait;

pub use campaign::{Campaign, run};
pub use error::ChaosError;
pub use report::Report;
