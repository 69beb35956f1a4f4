//! The broker as seen from here: where it is, who we are to it, and why it does not do what we ask.

pub use error::{BrokerError, TopologyObject};
pub use lane::Headers;
pub use link::Status;
pub use settings::{BrokerSettings, PasswordSource};

pub(crate) use error::chain;
pub(crate) use link::Link;
pub(crate) use wire::Wire;

use std::time::Duration;

mod error;
pub(crate) mod lane;
mod link;
mod outage;
mod reactor;
mod settings;
mod wire;

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
