//! What the end-to-end tests and the tests of the configuration share.

pub mod config;
pub mod require;
