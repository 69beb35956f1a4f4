//! The diagrams as data: every component of the lab, where it lives, and every arrow between them.
//!
//! Nothing here does I/O. The verification, the engines and the repository's own tests read these types, so that a
//! component or an arrow is declared once; `ARCHITECTURE.md` is held equal to them by a test.

mod account;
mod arrow;
mod component;
mod diagram;
mod secret;

pub use account::Account;
pub use arrow::{Arrow, Node, UnknownArrow};
pub use component::{Component, Port, UnknownComponent, WorkloadKind};
pub use diagram::Diagram;
pub use secret::Secret;
