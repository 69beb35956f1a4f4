//! Argo CD's own pods: before they are ready, nobody reads an Application.

use std::time::Duration;

use blueprint::Component;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::ListParams};
use terminal::progress::Progress;
use tokio::time::{Instant, sleep};

use super::waiting::GRACE;
use crate::{ClusterError, Kube, diagnosis, workloads::pod_is_ready};

/// Pulling its image over a slow line is the longest of it.
const BOUND: Duration = Duration::from_secs(600);

/// How often the pods are looked at.
const INTERVAL: Duration = Duration::from_millis(300);

/// The pods without which no Application is synced.
const NEEDED: [&str; 3] = [
    "argocd-application-controller",
    "argocd-redis",
    "argocd-repo-server",
];

/// Waits until they are ready, and says why a pod is not once that takes long.
///
/// # Errors
/// [`ClusterError::GaveUp`] with the pod that is not, and why.
pub async fn until_ready(kube: &Kube) -> Result<(), ClusterError> {
    let pods: Api<Pod> = kube.beside(Component::Argocd);
    let started = Instant::now();
    let mut progress = Progress::default();
    let mut told: Option<&&str> = None;
    loop {
        let found = pods
            .list(&ListParams::default())
            .await
            .map_err(ClusterError::kubernetes("list Argo CD's pods"))?;
        let missing = NEEDED.iter().find(|name| {
            !found.iter().any(|pod| {
                pod.labels()
                    .get("app.kubernetes.io/name")
                    .is_some_and(|own| own == *name)
                    && pod_is_ready(pod)
            })
        });
        if let Some(ready) = told.filter(|told| Some(told) != missing.as_ref()) {
            progress.finish(ready, "ready");
            told = None;
        }
        let Some(missing) = missing else {
            return Ok(());
        };
        if started.elapsed() >= GRACE {
            let selector = format!("app.kubernetes.io/name={missing}");
            let why = diagnosis::of_pods(kube, &kube.namespace(Component::Argocd), Some(&selector))
                .await?;
            let why = why.unwrap_or_else(|| "it has no pod".to_owned());
            if started.elapsed() >= BOUND {
                return Err(ClusterError::GaveUp {
                    what: format!("{missing} is not ready"),
                    waited: BOUND,
                    why,
                });
            }
            progress.update(missing, &why);
            told = Some(missing);
        }
        sleep(INTERVAL).await;
    }
}
