//! Waits for every unit to be ready, says what it waits for, and knows when to give up.

use std::time::Duration;

use host::{Control, Request, UnitState, UnitStatus, supervisor::all_ready};
use tokio::time::{Instant, sleep};

use terminal::{
    failure::{Exit, Failure},
    progress::Progress,
};

/// How often the supervisor is asked.
const INTERVAL: Duration = Duration::from_millis(100);

/// The slowest component is ready within a minute on a busy machine with two cores.
const BOUND: Duration = Duration::from_secs(240);

/// A unit that ended this often by itself will not come up without help.
const RESTARTS: u32 = 5;

/// Waits until every unit has said that it is ready.
pub async fn until_ready(control: &Control) -> anyhow::Result<Vec<UnitStatus>> {
    let mut progress = Progress::default();
    let started = Instant::now();
    loop {
        let units = control.ask(&Request::Status).await?;
        for status in &units {
            let line = match &status.reason {
                Some(reason) => format!("{}: {reason}", status.state.name()),
                None => status.state.name().to_owned(),
            };
            if status.state == UnitState::Ready {
                progress.finish(&status.unit.name, &line);
            } else {
                progress.update(&status.unit.name, &line);
            }
        }
        if all_ready(&units) {
            return Ok(units);
        }
        if let Some(hopeless) = units
            .iter()
            .find(|status| status.state == UnitState::BackOff && status.restarts >= RESTARTS)
        {
            return Err(gave_up(hopeless, "does not start"));
        }
        if started.elapsed() >= BOUND
            && let Some(late) = units.iter().find(|status| status.state != UnitState::Ready)
        {
            return Err(gave_up(
                late,
                &format!("is not ready after {} s", BOUND.as_secs()),
            ));
        }
        sleep(INTERVAL).await;
    }
}

fn gave_up(status: &UnitStatus, what: &str) -> anyhow::Error {
    let unit = &status.unit;
    let reason = status.reason.as_deref().unwrap_or("it gave no reason");
    Failure::new(Exit::GaveUp, format!("{} {what}: {reason}", unit.name))
        .hint(format!(
            "read what it wrote with `cargo xtask logs {}`; the other components run on, and `cargo xtask \
             bootstrap` tries again",
            unit.component
        ))
        .into()
}
