//! Waits until Argo CD has brought everything to a revision, says what it waits for, and knows when to give up.

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt as _;
use kube::{
    ResourceExt as _,
    runtime::watcher::{self, watcher},
};
use terminal::progress::Progress;
use tokio::time::{Instant, interval};

use super::{
    Application, Health, Sync,
    application::{self, api, is_in_the_way, message, refresh, terminate, wave},
    root,
};
use crate::{ClusterError, Kube, diagnosis};

/// How often the cause of a long wait is looked for; every change of an Application is seen at once.
const TICK: Duration = Duration::from_secs(1);

/// From then on the cause of a wait is told.
pub(super) const GRACE: Duration = Duration::from_secs(15);

/// A lab in which no Application has changed for so long waits for something that does not come by itself. Pulling an
/// image over a slow line is the longest wait there is.
const STALLED: Duration = Duration::from_secs(600);

/// How often an Application that could not be compared is compared again.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// One Application as it was seen last.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    sync: Sync,
    health: Health,
    revision: String,
    phase: String,
    resources: Vec<(String, Sync, Option<Health>)>,
}

/// When an Application was synced and healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Its name.
    pub name: String,
    /// Its wave.
    pub wave: i32,
    /// How long after the wait began.
    pub after: Duration,
}

/// Waits until every Application is synced to `revision` and healthy, and the root has synced all of them. Returns when each
/// of them was.
///
/// # Errors
/// [`ClusterError::GaveUp`] with the object that holds it up, when nothing has changed for ten minutes.
pub async fn until_healthy(kube: &Kube, revision: &str) -> Result<Vec<Done>, ClusterError> {
    let mut wait = Wait::new();
    let mut changes = Box::pin(watcher(api(kube), watcher::Config::default()));
    let mut tick = interval(TICK);
    loop {
        tokio::select! {
            // What changed is read from the list below; a watch that ended is taken up again by the watcher itself.
            _ = changes.next() => {}
            _ = tick.tick() => {}
        }
        let root = api(kube)
            .get_opt(root::NAME)
            .await
            .map_err(ClusterError::kubernetes("read the root Application"))?;
        let mut applications = application::list(kube).await?;
        wait.note(applications.iter().chain(&root), revision);
        for application in applications.iter().chain(&root) {
            wait.ask_again(kube, application).await?;
            if is_in_the_way(application, revision) {
                terminate(kube, &application.name_any()).await?;
            }
        }
        wait.show(kube, &applications, root.as_ref(), revision)
            .await?;
        let is_root_done = root.as_ref().is_some_and(|root| is_done(root, revision));
        let is_done = |application| is_done(application, revision);
        if is_root_done && !applications.is_empty() && applications.iter().all(is_done) {
            return Ok(wait.done(&applications));
        }
        if wait.last_change.elapsed() >= STALLED {
            applications.extend(root);
            return Err(gave_up(kube, &applications, revision, wait.started.elapsed()).await?);
        }
    }
}

/// What was seen so far.
struct Wait {
    progress: Progress,
    started: Instant,
    last_change: Instant,
    seen: BTreeMap<String, Seen>,
    changed_at: BTreeMap<String, Instant>,
    asked: BTreeMap<String, Instant>,
    done_at: BTreeMap<String, Instant>,
}

impl Wait {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            progress: Progress::default(),
            started: now,
            last_change: now,
            seen: BTreeMap::new(),
            changed_at: BTreeMap::new(),
            asked: BTreeMap::new(),
            done_at: BTreeMap::new(),
        }
    }

    /// Notes what has changed, and when each Application was done for the last time.
    fn note<'a>(&mut self, applications: impl Iterator<Item = &'a Application>, revision: &str) {
        for application in applications {
            let (name, now) = (application.name_any(), look(application));
            if self.seen.get(&name) != Some(&now) {
                self.last_change = Instant::now();
                self.changed_at.insert(name.clone(), self.last_change);
                self.seen.insert(name.clone(), now);
            }
            if is_done(application, revision) {
                self.done_at.entry(name).or_insert_with(Instant::now);
            } else {
                self.done_at.remove(&name);
            }
        }
    }

    async fn show(
        &mut self,
        kube: &Kube,
        applications: &[Application],
        root: Option<&Application>,
        revision: &str,
    ) -> Result<(), ClusterError> {
        match root.filter(|_| applications.is_empty()) {
            Some(root) => self.progress.update(
                root::NAME,
                &message(root).unwrap_or_else(|| line(root, revision)),
            ),
            None => self.progress.drop_item(root::NAME),
        }
        for application in applications {
            let name = application.name_any();
            let line = line(application, revision);
            if is_done(application, revision) {
                self.progress.finish(&name, &line);
                continue;
            }
            let since = self.changed_at.get(&name).copied().unwrap_or(self.started);
            let why = match since.elapsed() >= GRACE {
                true => cause(kube, application).await?,
                false => None,
            };
            let line = why.map_or(line.clone(), |why| format!("{line}: {why}"));
            self.progress.update(&name, &line);
        }
        Ok(())
    }

    fn done(&self, applications: &[Application]) -> Vec<Done> {
        applications
            .iter()
            .filter_map(|application| {
                let name = application.name_any();
                Some(Done {
                    after: self.done_at.get(&name)?.duration_since(self.started),
                    wave: wave(application),
                    name,
                })
            })
            .collect()
    }

    /// An Application that could not be compared is compared again at the clock's next round only, unless it is asked for.
    async fn ask_again(
        &mut self,
        kube: &Kube,
        application: &Application,
    ) -> Result<(), ClusterError> {
        let name = application.name_any();
        let has_failed = application.status.as_ref().is_some_and(|status| {
            let mut conditions = status.conditions.iter();
            conditions.any(|condition| condition.kind == "ComparisonError")
        });
        let is_recent = self
            .asked
            .get(&name)
            .is_some_and(|at| at.elapsed() < ASK_AGAIN);
        if has_failed && !is_recent {
            refresh(kube, &name).await?;
            self.asked.insert(name, Instant::now());
        }
        Ok(())
    }
}

fn look(application: &Application) -> Seen {
    let status = application.status.clone().unwrap_or_default();
    Seen {
        sync: status.sync.status,
        health: status.health.status,
        revision: status.sync.revision,
        phase: status
            .operation_state
            .map(|operation| operation.phase)
            .unwrap_or_default(),
        resources: status
            .resources
            .iter()
            .map(|resource| {
                let health = resource.health.as_ref().map(|health| health.status);
                (resource.to_string(), resource.status, health)
            })
            .collect(),
    }
}

/// Whether the revision is there and well. What was compared counts, not what is asked for by now.
pub(crate) fn is_done(application: &Application, revision: &str) -> bool {
    let Some(status) = &application.status else {
        return false;
    };
    status.sync.status == Sync::Synced
        && status.sync.compared_to.source.target_revision == revision
        && status.health.status == Health::Healthy
        // A hook that still runs is no object that could be unhealthy.
        && status
            .operation_state
            .as_ref()
            .is_none_or(|operation| operation.phase == "Succeeded")
}

fn line(application: &Application, revision: &str) -> String {
    let (wave, status) = (
        wave(application),
        application.status.clone().unwrap_or_default(),
    );
    if status.sync.compared_to.source.target_revision != revision {
        return format!("wave {wave}: not at this revision yet");
    }
    format!(
        "wave {wave}: {}, {}",
        status.sync.status, status.health.status
    )
}

/// The object that holds an Application up, and why.
async fn cause(kube: &Kube, application: &Application) -> Result<Option<String>, ClusterError> {
    let status = application.status.clone().unwrap_or_default();
    let unwell = status.resources.iter().find(|resource| {
        resource
            .health
            .as_ref()
            .is_some_and(|health| !matches!(health.status, Health::Healthy | Health::Suspended))
    });
    if let Some(resource) = unwell {
        let pods = diagnosis::of_pods(kube, &resource.namespace, None).await?;
        if pods.is_some() {
            return Ok(pods);
        }
        let words = resource
            .health
            .as_ref()
            .and_then(|health| health.message.clone());
        return Ok(Some(words.map_or(resource.to_string(), |words| {
            format!("{resource}: {words}")
        })));
    }
    Ok(message(application))
}

async fn gave_up(
    kube: &Kube,
    applications: &[Application],
    revision: &str,
    waited: Duration,
) -> Result<ClusterError, ClusterError> {
    let late = applications
        .iter()
        .find(|application| !is_done(application, revision));
    let (what, why) = match late {
        Some(application) => (
            format!(
                "the Application {} is {}",
                application.name_any(),
                line(application, revision)
            ),
            cause(kube, application).await?,
        ),
        None => ("Argo CD has made no Application".to_owned(), None),
    };
    let why =
        why.unwrap_or_else(|| "Argo CD does not say why; see `cargo xtask logs argocd`".to_owned());
    Ok(ClusterError::GaveUp { what, waited, why })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn application(status: Value) -> Application {
        serde_json::from_value(json!({
            "metadata": { "name": "loki" }, "spec": { "source": {} }, "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn done_is_synced_and_healthy_at_the_very_revision_with_all_hooks_through() {
        let status = |sync: &str, health: &str, phase: &str| {
            application(json!({
                "sync": { "status": sync, "comparedTo": { "source": { "targetRevision": "sha256:1" } } },
                "health": { "status": health },
                "operationState": { "phase": phase },
            }))
        };
        assert!(is_done(
            &status("Synced", "Healthy", "Succeeded"),
            "sha256:1"
        ));
        assert!(!is_done(
            &status("Synced", "Healthy", "Succeeded"),
            "sha256:2"
        ));
        assert!(!is_done(
            &status("OutOfSync", "Healthy", "Succeeded"),
            "sha256:1"
        ));
        assert!(!is_done(
            &status("Synced", "Progressing", "Succeeded"),
            "sha256:1"
        ));
        assert!(!is_done(
            &status("Synced", "Healthy", "Running"),
            "sha256:1"
        ));
        assert!(!is_done(&application(json!(null)), "sha256:1"));
    }
}
