//! `chaos --engine cluster`: the fault campaign on the running lab.

use terminal::{cli, failure::Exit};

use crate::{Site, campaign};

/// Runs the command.
///
/// # Errors
/// When the lab is not fit for a campaign, or the API server does not answer.
pub async fn run(site: &Site, arguments: cli::Chaos) -> anyhow::Result<Exit> {
    campaign::run(site, arguments).await
}
