//! The lab in one file: made from a real registry, loaded into another, and whole or not there at all when a disk, a network
//! or a process fails on the way.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod carries;
mod command;
mod damaged;
mod images;
mod installation;
mod interrupted;
mod killed;
mod line;
mod refused;
