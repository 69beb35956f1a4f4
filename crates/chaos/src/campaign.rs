//! A campaign: a lab of its own, faults one after another, the verdict, and nothing left behind.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use host::HostError;
use jiff::Timestamp;
use lab::{Engine, Lab, LabFile};
use terminal::{cli::Fault, progress::Progress};

use crate::{
    ChaosError, Report,
    inject::{Injected, inject},
    judge::judge,
    report::{Stuck, Taken},
    schedule::{Schedule, Step},
    site::Site,
    steady, wait,
};

/// The lab of a campaign, so that a user's own is left alone.
pub const LAB: &str = "chaos";

/// How long the load between two faults may take.
const LOAD: Duration = Duration::from_secs(120);

/// The faults whose lines stay on a terminal.
const SHOWN: usize = 12;

/// What a campaign is made from.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// The directory of all labs.
    pub state: PathBuf,
    /// The directory `manifests/`.
    pub manifests: PathBuf,
    /// The producer under test.
    pub producer: PathBuf,
    /// The consumer under test.
    pub consumer: PathBuf,
    /// The program whose `supervise` owns the lab's processes.
    pub supervisor: PathBuf,
    /// The seed of the schedule.
    pub seed: u64,
    /// The faults that it deals.
    pub faults: Vec<Fault>,
    /// How long it goes on after each had its turn.
    pub length: Duration,
    /// The command that does it again.
    pub replay: String,
}

/// Carries a campaign out. `None` when it was interrupted. Whatever comes of it, no process and no port is left; the lab's
/// directory is kept when something did not hold.
///
/// # Errors
/// When the lab cannot be brought up, judged or ended.
pub async fn run(
    campaign: &Campaign,
    interrupted: impl Future<Output = ()>,
) -> Result<Option<Report>, ChaosError> {
    let lab = Lab::at(&campaign.state, LAB);
    if lab.exists() {
        return Err(ChaosError::Exists {
            path: lab.directory().to_owned(),
        });
    }
    let change = lab.lock_for_change()?;
    let mut file = lab.load_or_create(&Engine::Host)?;
    let outcome = tokio::select! {
        outcome = carry_out(campaign, &lab, &mut file) => Some(outcome),
        () = interrupted => None,
    };
    host::end(&lab, file.instance).await?;
    drop(change);
    let Some(outcome) = outcome else {
        lab.purge()?;
        return Ok(None);
    };
    let mut report = match outcome {
        Ok(report) => report,
        Err(error @ ChaosError::Host(HostError::MissingProgram { .. })) => {
            lab.purge()?;
            return Err(error);
        }
        Err(source) => {
            return Err(ChaosError::NotCarriedOut {
                path: lab.directory().to_owned(),
                source: Box::new(source),
            });
        }
    };
    if report.holds() {
        lab.purge()?;
    } else {
        report.kept = Some(lab.directory().to_owned());
    }
    Ok(Some(report))
}

async fn carry_out(
    campaign: &Campaign,
    lab: &Lab,
    file: &mut LabFile,
) -> Result<Report, ChaosError> {
    let mut progress = Progress::default();
    progress.update(LAB, &format!("starts, seed {}", campaign.seed));
    let site = Site::start(campaign, lab, file).await?;
    progress.finish(LAB, "the load runs");
    let (started, started_at) = (Instant::now(), Timestamp::now());
    let mut faults = Vec::new();
    let mut stuck = None;
    for step in Schedule::new(campaign.seed, campaign.faults.clone()) {
        let name = format!("{} {}", faults.len() + 1, step.fault);
        match take(&site, step, &mut progress, &name).await {
            Ok(taken) => faults.push(taken),
            Err(error) => {
                let reason = chain(&error);
                progress.finish(&name, &reason);
                stuck = Some(Stuck {
                    fault: step.fault,
                    at_confirmed: site.journals.confirmed()?,
                    reason,
                });
                break;
            }
        }
        if let Some(old) = faults.len().checked_sub(SHOWN) {
            progress.drop_item(&format!("{} {}", old + 1, faults[old].fault));
        }
        if faults.len() >= campaign.faults.len() && started.elapsed() >= campaign.length {
            break;
        }
    }
    progress.update("verdict", "the workload drains");
    let verdict = judge(&site).await.map_err(|error| chain(&error));
    progress.finish("verdict", "the journals are compared");
    Ok(Report {
        seed: campaign.seed,
        replay: campaign.replay.clone(),
        broker: site.broker.version().to_owned(),
        started_at,
        took: started.elapsed(),
        faults,
        stuck,
        verdict,
        kept: None,
    })
}

/// Waits for the load, makes the fault, and waits for the way back.
async fn take(
    site: &Site,
    step: Step,
    progress: &mut Progress,
    name: &str,
) -> Result<Taken, ChaosError> {
    progress.mention(name, &format!("after {} messages", step.load));
    let goal = site.journals.confirmed()? + step.load;
    let at_confirmed = wait::until("load", LOAD, async || match site.journals.confirmed() {
        Ok(confirmed) if confirmed >= goal => Ok(confirmed),
        Ok(confirmed) => Err(format!("{confirmed} of {goal} messages are confirmed")),
        Err(error) => Err(error.to_string()),
    })
    .await?;
    progress.mention(name, "breaks it");
    let Injected { did, held } = inject(site, step).await?;
    progress.mention(name, &format!("{did}; must recover"));
    let recovered = steady::reached(site).await?;
    for service in [&site.producer, &site.consumer] {
        service.proxy.release();
    }
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
