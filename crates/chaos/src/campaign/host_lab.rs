//! A campaign on a lab of its own, which the host engine brings up and of which nothing is left behind.

use std::path::PathBuf;

use host::HostError;
use lab::{Engine, Lab, LabFile};
use terminal::progress::Progress;

use super::Campaign;
use crate::{ChaosError, Report, schedule::Pace, site::host::HostSite};

/// The lab of a campaign, so that a user's own is left alone.
pub const LAB: &str = "chaos";

/// At 5,000 messages a second. The load is more than the publisher's window and the consumer's prefetch together, so that
/// every part of the way holds messages when the blow falls.
const PACE: Pace = Pace {
    load: 2_000..=12_000,
    hold: 1_000..=6_000,
};

/// What the lab is made from.
#[derive(Clone, Debug)]
pub struct HostLab {
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
}

/// Carries a campaign out. `None` when it was interrupted. Whatever comes of it, no process and no port is left; the lab's
/// directory is kept when something did not hold.
///
/// # Errors
/// When the lab cannot be brought up, judged or ended.
pub async fn run(
    campaign: &Campaign,
    host: &HostLab,
    interrupted: impl Future<Output = ()>,
) -> Result<Option<Report>, ChaosError> {
    let lab = Lab::at(&host.state, LAB);
    if lab.exists() {
        return Err(ChaosError::Exists {
            path: lab.directory().to_owned(),
        });
    }
    let change = lab.lock_for_change()?;
    let mut file = lab.load_or_create(&Engine::Host)?;
    let outcome = tokio::select! {
        outcome = carry_out(campaign, host, &lab, &mut file) => Some(outcome),
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
    host: &HostLab,
    lab: &Lab,
    file: &mut LabFile,
) -> Result<Report, ChaosError> {
    let mut progress = Progress::default();
    progress.update(LAB, &format!("starts, seed {}", campaign.seed));
    let site = HostSite::start(host, lab, file).await?;
    progress.finish(LAB, "the load runs");
    campaign.conduct(&site, PACE, &mut progress).await
}
