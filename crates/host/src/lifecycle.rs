//! A lab's supervisor from outside: started as a process of its own, and ended with everything that it owns.

use std::{
    fs::{File, OpenOptions},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::{Control, HostError, Leftover, Request, end_leftovers, leftovers::MARK};
use lab::Lab;

/// How long a supervisor may take to open its socket.
const START: Duration = Duration::from_secs(10);

/// How long a supervisor that has ended its units may take to be gone itself.
const END: Duration = Duration::from_secs(10);

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(50);

/// Starts `program supervise` for a lab below `state` and waits until it answers. It outlives this process.
///
/// # Errors
/// When the program does not start or does not answer in time.
pub async fn start_supervisor(
    program: &Path,
    state: &Path,
    lab: &Lab,
    instance: Uuid,
) -> Result<(), HostError> {
    let log = lab.supervisor_log();
    let output = || -> Result<File, HostError> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(HostError::file("write", &log))
    };
    let mut child = Command::new(program)
        .arg("supervise")
        .arg("--state")
        .arg(state)
        .args(["--name", lab.name()])
        .env(MARK, instance.to_string())
        .stdin(Stdio::null())
        .stdout(output()?)
        .stderr(output()?)
        .spawn()
        .map_err(HostError::file("start the supervisor", program))?;
    let control = Control::of(lab);
    let deadline = Instant::now() + START;
    while control.ask(&Request::Status).await.is_err() {
        // One that cannot be watched will not answer either, and the deadline tells.
        let ended = child.try_wait().is_ok_and(|status| status.is_some());
        if ended || Instant::now() >= deadline {
            let output = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(HostError::SupervisorSilent {
                waited: START,
                output: output.lines().last().unwrap_or("nothing").to_owned(),
            });
        }
        sleep(INTERVAL).await;
    }
    Ok(())
}

/// Asks the supervisor to end all units and itself, then ends by their mark the processes that are left; returns those.
/// Without a supervisor, or with one that does not answer, all are found by their mark.
///
/// # Errors
/// When some survive.
pub async fn end(lab: &Lab, instance: Uuid) -> Result<Vec<Leftover>, HostError> {
    shut_down(lab).await?;
    end_leftovers(instance).await
}

/// Asks the supervisor to end all units and itself, and waits until it has; no supervisor is none to wait for.
///
/// # Errors
/// When the lab's directory cannot be used.
pub async fn shut_down(lab: &Lab) -> Result<(), HostError> {
    match Control::of(lab).ask(&Request::Shutdown).await {
        Ok(_) => {}
        Err(HostError::NotRunning { .. } | HostError::Refused { .. }) => return Ok(()),
        Err(error) => return Err(error),
    }
    let deadline = Instant::now() + END;
    while lab.lock_for_supervision()?.is_none() && Instant::now() < deadline {
        sleep(INTERVAL).await;
    }
    Ok(())
}
