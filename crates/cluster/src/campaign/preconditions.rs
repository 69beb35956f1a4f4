//! What a lab must have for a campaign, asked before the first fault.

use std::{path::PathBuf, time::Duration};

use blueprint::Component;
use chaos::{Writers, wait};
use terminal::{
    cli::Fault,
    failure::{Exit, Failure},
};

use super::{nodes, pods};
use crate::{
    ClusterError, Kube, Site, kind::journals::ON_NODE, site::journals_directory,
    workloads::workload,
};

/// How long a pod that was just started may take to open its journal.
const OPENED: Duration = Duration::from_secs(10);

/// Why no node of the lab can be drained; `None` when one can.
pub(super) async fn no_drain(kube: &Kube) -> Result<Option<String>, ClusterError> {
    let workers = nodes::workers(kube).await?.len();
    if workers < 2 {
        return Ok(Some(format!(
            "{workers} of its nodes take pods, and those of a drained one need another"
        )));
    }
    let brokers = workload(kube, Component::Rabbitmq).await?;
    Ok(match brokers.unwrap_or_default().wanted {
        0..=2 => Some("it has no three brokers, and one alone cannot leave its volume".to_owned()),
        _ => None,
    })
}

/// Refuses faults that this lab cannot have; `no_drain` says why it cannot have a node drained.
pub(super) fn refuse(faults: &[Fault], no_drain: Option<String>) -> anyhow::Result<()> {
    match no_drain {
        Some(why) if faults.contains(&Fault::DrainNode) => Err(Failure::new(
            Exit::Missing,
            format!("this lab cannot have `{}`: {why}", Fault::DrainNode),
        )
        .hint(
            "it takes a cluster of several nodes and manifests/overlays/kind-scaled; docs/reliability.md says how",
        )
        .into()),
        _ => Ok(()),
    }
}

/// The directory of the journals on this machine, in which every pod of the workload has its own.
pub(super) async fn journals(site: &Site, given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let name = site.lab.name();
    let directory = match given {
        Some(directory) => directory,
        None if site.is_kind() => journals_directory(&site.lab),
        None => {
            return Err(Failure::new(
                Exit::Missing,
                format!("nothing says where this machine has the journals of the lab `{name}`"),
            )
            .hint(format!(
                "give --journals DIR, the directory that is {ON_NODE} on every node; docs/reliability.md says how"
            ))
            .into());
        }
    };
    if !directory.is_dir() {
        let what = format!("there is no directory {}", directory.display());
        return Err(Failure::new(Exit::Missing, what).hint(remedy(site)).into());
    }
    for component in [Component::Producer, Component::Consumer] {
        for pod in pods::list(&site.kube, component).await? {
            let pod = pod.metadata.name.unwrap_or_default();
            let path = Writers::journal_of(&directory, &pod);
            let opened = wait::until("the journal of a pod", OPENED, async || {
                path.is_file()
                    .then_some(())
                    .ok_or_else(|| format!("the pod {pod} keeps none at {}", path.display()))
            })
            .await;
            if let Err(error) = opened {
                let failure = Failure::new(Exit::Missing, error.to_string());
                return Err(failure.hint(remedy(site)).into());
            }
        }
    }
    Ok(directory)
}

/// What gives a lab its journals.
fn remedy(site: &Site) -> String {
    if site.is_kind() {
        "the lab's cluster was made before labs kept journals, and kind adds no mount to it: `cargo xtask down`, then \
         `cargo xtask bootstrap --engine kind`"
            .to_owned()
    } else {
        format!(
            "its nodes must have that directory at {ON_NODE}, and its root Application the path of \
             manifests/overlays/kind/apps or kind-scaled/apps; docs/reliability.md says how"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_is_refused_where_none_can_be_had_and_nothing_else_is() {
        let why = || Some("1 of its nodes take pods".to_owned());
        let told = refuse(&[Fault::Poison, Fault::DrainNode], why()).unwrap_err();
        assert_eq!(
            told.to_string(),
            "this lab cannot have `drain-node`: 1 of its nodes take pods"
        );
        refuse(&[Fault::Poison], why()).unwrap();
        refuse(&[Fault::DrainNode], None).unwrap();
    }
}
