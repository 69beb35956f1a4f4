//! The fault campaign on a lab that runs on a cluster: pods are deleted and nodes are drained, and what comes back is the
//! controllers' and the workload's own doing.
//!
//! Nothing that Argo CD has applied is changed, so that it has nothing to put right: the load is the lab's own, and a deleted
//! pod or a cordoned node is in no manifest.

mod eviction;
mod nodes;
mod pods;
mod preconditions;
mod site;

use std::{path::Path, time::Duration};

use chaos::{ChaosError, Report, command, schedule::Pace, wait};
use terminal::{
    cli::{self, Fault},
    failure::{Exit, Failure},
    progress::Progress,
};

use self::site::ClusterSite;
use crate::{ClusterError, Site};

/// At the lab's 100 messages a second: from the time that a service takes to be at work again, to some seconds more.
const PACE: Pace = Pace {
    load: 300..=1_500,
    hold: 300..=1_500,
};

/// How long an API server that does not answer is asked to uncordon what was drained.
const UNCORDON: Duration = Duration::from_secs(60);

/// Runs the command.
///
/// # Errors
/// When the lab is not fit for a campaign, or the API server does not answer. No node stays cordoned, or the error names it.
pub(crate) async fn run(site: &Site, arguments: cli::Chaos) -> anyhow::Result<Exit> {
    let mut campaign = command::campaign(&arguments)?;
    let _change = site.lab.lock_for_change()?;
    // What a campaign left cordoned that was killed.
    nodes::uncordon_all(site).await?;
    let no_drain = preconditions::no_drain(&site.kube).await?;
    if arguments.faults.is_empty() && no_drain.is_some() {
        campaign.faults.retain(|fault| *fault != Fault::DrainNode);
    }
    preconditions::refuse(&campaign.faults, no_drain)?;
    let directory = preconditions::journals(site, arguments.journals).await?;

    let interrupted =
        command::interruption("leaving the lab as it is, with every node uncordoned".to_owned())?;
    let outcome = tokio::select! {
        outcome = conduct(site, &campaign, &directory) => Some(outcome),
        () = interrupted => None,
    };
    // Whatever came of it.
    end_drains(site).await?;
    let report = match outcome {
        Some(outcome) => Some(outcome?),
        None => None,
    };
    let report = report.map(|report| Report {
        kept: (!report.holds()).then_some(directory),
        ..report
    });
    Ok(command::show(report.as_ref(), arguments.json))
}

/// Leaves no node cordoned, also when the API server does not answer at the first attempt.
async fn end_drains(site: &Site) -> Result<(), Failure> {
    let what = "the drained nodes to be uncordoned";
    let uncordoned = wait::until(what, UNCORDON, async || {
        let all = nodes::uncordon_all(site).await;
        all.map_err(|error| told(&error))
    });
    uncordoned.await.map_err(|error| {
        Failure::new(Exit::GaveUp, error.to_string()).hint(
            "`kubectl uncordon NODE` for each that `kubectl get nodes` shows as SchedulingDisabled; the next campaign \
             does it, too",
        )
    })
}

async fn conduct(
    site: &Site,
    campaign: &chaos::Campaign,
    journals: &Path,
) -> Result<Report, ChaosError> {
    let mut progress = Progress::default();
    let name = site.lab.name();
    progress.update(name, &format!("must be whole, seed {}", campaign.seed));
    let site = ClusterSite::of(site, journals).await?;
    progress.finish(name, "is whole, and under load");
    campaign.conduct(&site, PACE, &mut progress).await
}

/// An error of the cluster engine as one of the campaign.
fn of_engine(error: ClusterError) -> ChaosError {
    ChaosError::Engine(error.into())
}

/// An error with its cause, for those that are waited out.
fn told(error: &ClusterError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
