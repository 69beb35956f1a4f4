//! Applications of Argo CD, as far as the lab reads them (`argoproj.io/v1alpha1`, Argo CD 3.5).

use std::fmt;

use blueprint::Component;
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind, Object},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::REFRESH;
use crate::{ClusterError, Kube};

/// An Application.
pub type Application = Object<Spec, Status>;

/// What is in sync with what.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Where the manifests come from.
    #[serde(default)]
    pub source: SourceSpec,
}

/// Where an Application's manifests come from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceSpec {
    /// The artifact or repository.
    #[serde(rename = "repoURL", default)]
    pub repo_url: String,
    /// The revision that is asked for.
    #[serde(default)]
    pub target_revision: String,
}

/// How far Argo CD is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// Whether the cluster has what the source says.
    pub sync: SyncStatus,
    /// Whether what it has is well.
    pub health: HealthStatus,
    /// Why it cannot be compared or synced.
    pub conditions: Vec<Condition>,
    /// The last sync.
    pub operation_state: Option<Operation>,
    /// What it applied.
    pub resources: Vec<Resource>,
}

/// Whether the cluster has what the source says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncStatus {
    /// The verdict.
    pub status: Sync,
    /// The revision that was compared, resolved: a digest or a commit.
    pub revision: String,
    /// What the cluster was compared to.
    pub compared_to: ComparedTo,
}

/// What a cluster was compared to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ComparedTo {
    /// The source with the revision as it was asked for.
    pub source: SourceSpec,
}

/// Argo CD's word for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words are Argo CD's own")]
pub enum Sync {
    Synced,
    OutOfSync,
    #[default]
    #[serde(other)]
    Unknown,
}

/// Whether something is well.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthStatus {
    /// The verdict.
    pub status: Health,
    /// Why, where it is not.
    pub message: Option<String>,
}

/// Argo CD's word for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words are Argo CD's own")]
pub enum Health {
    Healthy,
    Progressing,
    Degraded,
    Suspended,
    Missing,
    #[default]
    #[serde(other)]
    Unknown,
}

/// Why an Application cannot be compared or synced.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Condition {
    /// What kind of reason.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its words.
    pub message: String,
}

/// A sync.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Operation {
    /// `Running`, `Succeeded`, `Failed`, `Error`, `Terminating`.
    pub phase: String,
    /// What it waits for, or why it failed.
    pub message: String,
    /// What was asked for.
    pub operation: Asked,
}

/// What a sync was asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// The sync.
    pub sync: AskedSync,
}

/// What a sync was asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AskedSync {
    /// The revision that it applies.
    pub revision: String,
}

/// An object that an Application applied.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version of the group.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The namespace; empty for an object of the cluster.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// Whether it is as the source says.
    pub status: Sync,
    /// Whether it is well, where Argo CD can tell.
    pub health: Option<HealthStatus>,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            return write!(f, "{} {}", self.kind, self.name);
        }
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

impl fmt::Display for Sync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Synced => "Synced",
            Self::OutOfSync => "OutOfSync",
            Self::Unknown => "Unknown",
        })
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Healthy => "Healthy",
            Self::Progressing => "Progressing",
            Self::Degraded => "Degraded",
            Self::Suspended => "Suspended",
            Self::Missing => "Missing",
            Self::Unknown => "Unknown",
        })
    }
}

impl Status {
    /// The status of an Application that was read with all its fields; of one that nobody looked at, the default.
    pub(crate) fn of(object: &DynamicObject) -> Self {
        Self::deserialize(&object.data["status"]).unwrap_or_default()
    }

    /// What Argo CD has to say beside its two words.
    pub(crate) fn message(&self) -> Option<String> {
        let condition = self
            .conditions
            .iter()
            .map(|condition| condition.message.clone())
            .next();
        let operation = self
            .operation_state
            .as_ref()
            .filter(|operation| operation.phase != "Succeeded" && !operation.message.is_empty())
            .map(|operation| operation.message.clone());
        condition
            .or_else(|| self.health.message.clone())
            .or(operation)
    }
}

/// What Argo CD has to say of an Application beside its two words.
pub(crate) fn message(application: &Application) -> Option<String> {
    application.status.as_ref()?.message()
}

/// The wave in which the root Application syncs it.
pub(crate) fn wave(application: &Application) -> i32 {
    application
        .annotations()
        .get("argocd.argoproj.io/sync-wave")
        .and_then(|wave| wave.parse().ok())
        .unwrap_or_default()
}

/// How the API server calls Applications.
pub(crate) fn kind() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(
        "argoproj.io",
        "v1alpha1",
        "Application",
    ))
}

/// The API for Applications.
pub fn api(kube: &Kube) -> Api<Application> {
    let namespace = kube.namespace(Component::Argocd);
    Api::namespaced_with(kube.client.clone(), &namespace, &kind())
}

/// Every Application but the root, in the order of the waves.
///
/// # Errors
/// When the API server does not answer, or Argo CD is not installed.
pub async fn list(kube: &Kube) -> Result<Vec<Application>, ClusterError> {
    let mut applications = api(kube)
        .list(&ListParams::default())
        .await
        .map_err(ClusterError::kubernetes("list the Applications"))?
        .items;
    applications.retain(|application| application.name_any() != super::root::NAME);
    applications.sort_by_key(|application| (wave(application), application.name_any()));
    Ok(applications)
}

/// Has Argo CD compare an Application now.
pub(crate) async fn refresh(kube: &Kube, name: &str) -> Result<(), ClusterError> {
    let refresh = json!({ "metadata": { "annotations": { REFRESH: "normal" } } });
    api(kube)
        .patch(name, &PatchParams::default(), &Patch::Merge(&refresh))
        .await
        .map(drop)
        .map_err(ClusterError::kubernetes(format!(
            "have Argo CD look at {name}"
        )))
}

/// Ends a sync that runs (Argo CD's own `TerminateOperation` writes the same word).
pub(crate) async fn terminate(kube: &Kube, name: &str) -> Result<(), ClusterError> {
    let ending = json!({ "status": { "operationState": { "phase": "Terminating" } } });
    api(kube)
        .patch(name, &PatchParams::default(), &Patch::Merge(&ending))
        .await
        .map(drop)
        .map_err(ClusterError::kubernetes(format!("end the sync of {name}")))
}

/// Whether a sync runs that applies another digest than the one that is wanted: it waits for what may never come, and
/// nothing else is applied meanwhile.
pub(crate) fn is_in_the_way(application: &Application, revision: &str) -> bool {
    let Some(operation) = application
        .status
        .as_ref()
        .and_then(|status| status.operation_state.as_ref())
    else {
        return false;
    };
    let applied = &operation.operation.sync.revision;
    // What a branch stands for is Argo CD's to know.
    revision.starts_with("sha256:")
        && application.spec.source.target_revision == revision
        && operation.phase == "Running"
        && !applied.is_empty()
        && applied != revision
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(status: &str) -> Application {
        serde_json::from_str(&format!(
            r#"{{"metadata":{{"name":"loki"}},"spec":{{"source":{{}}}},"status":{status}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn an_application_that_nobody_looked_at_is_unknown() {
        let application = application("{}");
        let status = application.status.clone().unwrap();
        assert_eq!(status.sync.status, Sync::Unknown);
        assert_eq!(status.health.status, Health::Unknown);
        assert_eq!(message(&application), None);
    }

    #[test]
    fn a_word_of_a_later_version_is_unknown_and_no_error() {
        let application = application(r#"{"health":{"status":"Splendid"}}"#);
        assert_eq!(application.status.unwrap().health.status, Health::Unknown);
    }

    #[test]
    fn a_sync_of_another_digest_is_in_the_way_of_the_wanted_one() {
        let application = |phase: &str, applied: &str, target: &str| -> Application {
            serde_json::from_value(json!({
                "metadata": { "name": "loki" },
                "spec": { "source": { "repoURL": "", "targetRevision": target } },
                "status": { "operationState": {
                    "phase": phase, "operation": { "sync": { "revision": applied } } } },
            }))
            .unwrap()
        };
        let is = |phase, applied, target| {
            is_in_the_way(&application(phase, applied, target), "sha256:new")
        };
        assert!(is("Running", "sha256:old", "sha256:new"));
        assert!(!is("Running", "sha256:new", "sha256:new"));
        assert!(!is("Succeeded", "sha256:old", "sha256:new"));
        // The root has not handed the new digest on yet.
        assert!(!is("Running", "sha256:old", "sha256:old"));
    }

    #[test]
    fn a_condition_says_more_than_the_sync() {
        let application = application(
            r#"{"conditions":[{"type":"ComparisonError","message":"no such digest"}],
                "operationState":{"phase":"Running","message":"waiting"}}"#,
        );
        assert_eq!(message(&application).as_deref(), Some("no such digest"));
    }
}
