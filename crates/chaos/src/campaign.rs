//! A campaign: faults one after another, each under load, the way back from each, and the verdict.

mod host_lab;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use terminal::{cli::Fault, progress::Progress};

use crate::{
    ChaosError, Report,
    judge::judge,
    report::{Stuck, Taken},
    schedule::{Pace, Schedule, Step},
    site::Site,
    steady, wait,
};

pub use self::host_lab::{HostLab, LAB, run};

/// How long the load between two faults may take.
const LOAD: Duration = Duration::from_secs(120);

/// The faults whose lines stay on a terminal.
const SHOWN: usize = 12;

/// What is done to a lab, whichever it is.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The seed of the schedule.
    pub seed: u64,
    /// The faults that it deals.
    pub faults: Vec<Fault>,
    /// How long it goes on after each had its turn.
    pub length: Duration,
    /// The command that does it again.
    pub replay: String,
}

impl Campaign {
    /// Carries it out on a lab that is under load.
    ///
    /// # Errors
    /// When the journals cannot be read. What a fault brings to light is part of the report.
    pub async fn conduct(
        &self,
        site: &impl Site,
        pace: Pace,
        progress: &mut Progress,
    ) -> Result<Report, ChaosError> {
        let (started, started_at) = (Instant::now(), Timestamp::now());
        let mut faults: Vec<Taken> = Vec::new();
        let mut stuck = None;
        for step in Schedule::new(self.seed, self.faults.clone(), pace) {
            let name = format!("{} {}", faults.len() + 1, step.fault);
            match take(site, step, progress, &name).await {
                Ok(taken) => faults.push(taken),
                Err(error) => {
                    let reason = chain(&error);
                    progress.finish(&name, &reason);
                    stuck = Some(Stuck {
                        fault: step.fault,
                        at_confirmed: site.journals().confirmed()?,
                        reason,
                    });
                    break;
                }
            }
            if let Some(old) = faults.len().checked_sub(SHOWN) {
                progress.drop_item(&format!("{} {}", old + 1, faults[old].fault));
            }
            if faults.len() >= self.faults.len() && started.elapsed() >= self.length {
                break;
            }
        }
        progress.update("verdict", "the workload drains");
        let verdict = judge(site).await.map_err(|error| chain(&error));
        progress.finish("verdict", "the journals are compared");
        Ok(Report {
            seed: self.seed,
            replay: self.replay.clone(),
            broker: site.broker_version().to_owned(),
            started_at,
            took: started.elapsed(),
            faults,
            stuck,
            verdict,
            kept: None,
        })
    }
}

/// Waits for the load, makes the fault, and waits for the way back.
async fn take(
    site: &impl Site,
    step: Step,
    progress: &mut Progress,
    name: &str,
) -> Result<Taken, ChaosError> {
    progress.mention(name, &format!("after {} messages", step.load));
    let goal = site.journals().confirmed()? + step.load;
    let at_confirmed = wait::until("load", LOAD, async || match site.journals().confirmed() {
        Ok(confirmed) if confirmed >= goal => Ok(confirmed),
        Ok(confirmed) => Err(format!("{confirmed} of {goal} messages are confirmed")),
        Err(error) => Err(error.to_string()),
    })
    .await?;
    progress.mention(name, "breaks it");
    site.journals().blow()?;
    let blow = Instant::now();
    let did = site.inject(step).await?;
    let held = blow.elapsed();
    progress.mention(name, &format!("{did}; must recover"));
    let recovered = steady::reached(site).await?;
    site.recovered();
    progress.finish(
        name,
        &format!("{did}; recovered after {:.1} s", recovered.as_secs_f64()),
    );
    Ok(Taken {
        fault: step.fault,
        at_confirmed,
        did,
        held,
        recovered,
    })
}

/// An error with its causes in one line.
fn chain(error: &ChaosError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
