//! Measurements: the producer and the consumer as users run them, against RabbitMQ PerfTest on the same broker.
//!
//! A [`Case`] says what is sent and who competes; a [`run`] starts one competitor's processes on a fresh virtual host, lets
//! them warm up, measures them for as long, ends them and settles the account: what the broker has confirmed must have been
//! acknowledged or lie in the queue, or the run fails. Counts are the broker's own for every competitor; latencies are what
//! each measures itself; CPU time and memory are the kernel's.
//!
//! [`run`]: run::run

pub mod broker;
pub mod case;
pub mod clients;
pub mod command;
pub mod error;
pub mod exposition;
pub mod figure;
pub mod latency;
pub mod ledger;
pub mod machine;
pub mod management;
pub mod message;
pub mod perf_test;
pub mod proc;
pub mod process;
pub mod programs;
pub mod report;
pub mod run;
pub mod sink;

pub use case::Case;
pub use error::BenchError;
