//! The command line, the same whatever engine runs the lab: its arguments, and what its commands show.
//!
//! `xtask` parses the arguments and runs the host engine; where a lab lives on a cluster it hands the same arguments to
//! the cluster engine's own program, which is built only then.

pub mod causes;
pub mod cli;
pub mod failure;
mod http;
mod invocation;
pub mod open;
pub mod profile;
pub mod progress;
mod setting;
pub mod status;
pub mod table;
pub mod verification;
pub mod workload;

pub use invocation::{in_own_words, invocation};
pub use setting::Setting;
