//! What the producer and the consumer share as services: settings, start, readiness, stop signals, exit codes.
//!
//! It stands between `messaging`, which knows no command line and no telemetry, and the two thin binaries.

mod admin;
mod arguments;
mod failure;
mod problems;
mod signals;

pub use admin::Admin;
pub use arguments::{BrokerArguments, ServiceArguments, parse};
pub use failure::{Exit, Failure, exit};
pub use problems::{Duration, Problems};
pub use signals::stop_on_signal;

/// Runs a service to its end: its messages on this thread, which waits for the socket itself, and whoever asks meanwhile on
/// another.
///
/// More threads than that would idle; with a single one a profile or a scrape would stop the messages.
///
/// # Errors
///
/// The system gives no threads.
pub fn run<F: Future>(service: F) -> Result<F::Output, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?;
    let _entered = runtime.enter();
    Ok(async_io::block_on(service))
}
