//! SIGTERM and SIGINT ask for a stop; a second one no longer waits.

use messaging::stop::StopHandle;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::Failure;

/// Waits for signals in the background: the first asks for the stop, the second ends the process with code 1.
///
/// # Errors
///
/// The system installs no signal handler.
pub fn stop_on_signal(stop: StopHandle) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::Runtime)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::Runtime)?;
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let name = next().await;
        info!(signal = name, "stopping: finishing what is in hand");
        stop.request();
        next().await;
        std::process::exit(crate::Exit::Unfinished as i32);
    });
    Ok(())
}
