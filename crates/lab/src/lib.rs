//! What a lab remembers between two commands, whatever runs it: a directory with its identity, its ports, its passwords,
//! and the locks that keep two commands apart.

mod broker_users;
mod directory;
mod error;
mod file;
pub mod passwords;
pub mod ports;
mod write;

pub use broker_users::broker_users;
pub use directory::Lab;
pub use error::LabError;
pub use file::{Cluster, Engine, LabFile};
pub use write::{write_atomically, write_if_changed};
