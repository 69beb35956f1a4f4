//! The root Application: the one object that is applied by hand, and the one field that promotes the lab.

use std::{fs, path::Path, time::Duration};

use kube::{
    ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{Source, application};
use crate::{ClusterError, Kube, objects::FIELD_MANAGER};

/// Its name.
pub(crate) const NAME: &str = "root";

/// How long Argo CD may take to delete what an interrupted `down` asked it to.
const ENDING: Duration = Duration::from_secs(300);

/// How often that is looked at.
const INTERVAL: Duration = Duration::from_millis(300);

/// What stands in `root.yaml` for the source's URL and revision.
const URL: &str = "oci://set-by-root.invalid/lab";
const REVISION: &str = "set-by-root";
const PATH: &str = "path: manifests/apps";

/// What the lab should run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The artifact or repository.
    pub url: String,
    /// A digest of the artifact; a commit, branch or tag of the repository.
    pub revision: String,
}

/// The root Application for this source and revision; `apps` is the directory of the Applications.
///
/// # Errors
/// When `root.yaml` cannot be read or has no longer what is put in place here.
pub fn root(
    manifests: &Path,
    wanted: &Revision,
    apps: &str,
) -> Result<DynamicObject, ClusterError> {
    let path = manifests.join("root.yaml");
    let text = fs::read_to_string(&path).map_err(lab::LabError::file("read", &path))?;
    let what = path.display().to_string();
    for placeholder in [URL, REVISION, PATH] {
        if !text.contains(placeholder) {
            let reason = format!("`{placeholder}` does not stand in it");
            return Err(ClusterError::malformed(what, reason));
        }
    }
    let text = text
        .replace(URL, &wanted.url)
        .replace(REVISION, &wanted.revision)
        .replace(PATH, &format!("path: {apps}"));
    serde_yaml::from_str(&text).map_err(|error| ClusterError::malformed(what, error))
}

/// What the root Application asks for; `None` when there is none.
///
/// # Errors
/// When the API server does not answer.
pub async fn desired(kube: &Kube) -> Result<Option<Revision>, ClusterError> {
    let root = application::api(kube)
        .get_opt(NAME)
        .await
        .map_err(ClusterError::kubernetes("read the root Application"))?;
    Ok(root.map(|root| Revision {
        url: root.spec.source.repo_url,
        revision: root.spec.source.target_revision,
    }))
}

/// How far Argo CD is with the root Application; `None` when there is none.
///
/// # Errors
/// When the API server does not answer.
pub async fn root_status(kube: &Kube) -> Result<Option<application::Status>, ClusterError> {
    let root = application::api(kube)
        .get_opt(NAME)
        .await
        .map_err(ClusterError::kubernetes("read the root Application"))?;
    Ok(root.map(|root| root.status.unwrap_or_default()))
}

/// Whether the root Application carries a mark: something that is done once in a cluster's life.
///
/// # Errors
/// When the API server does not answer.
pub async fn is_marked(kube: &Kube, mark: &str) -> Result<bool, ClusterError> {
    let root = application::api(kube)
        .get_metadata_opt(NAME)
        .await
        .map_err(ClusterError::kubernetes("read the root Application"))?;
    Ok(root.is_some_and(|root| root.annotations().contains_key(mark)))
}

/// Marks the root Application.
///
/// # Errors
/// When the API server refuses.
pub async fn mark(kube: &Kube, mark: &str) -> Result<(), ClusterError> {
    let patch = json!({ "metadata": { "annotations": { mark: "done" } } });
    application::api(kube)
        .patch(NAME, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .map(drop)
        .map_err(ClusterError::kubernetes("mark the root Application"))
}

/// Applies the root Application and has Argo CD look at once. Returns whether that changed it.
///
/// # Errors
/// When the API server refuses.
pub async fn move_to(kube: &Kube, root: &DynamicObject) -> Result<bool, ClusterError> {
    until_not_ending(kube).await?;
    let api = application::api(kube);
    let action = "move the root Application";
    let before = api
        .get_opt(NAME)
        .await
        .map_err(ClusterError::kubernetes(action))?
        .and_then(|root| root.metadata.generation);
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let after = api
        .patch(NAME, &parameters, &Patch::Apply(root))
        .await
        .map_err(ClusterError::kubernetes(action))?;
    let changed = before != after.metadata.generation;
    if changed {
        application::refresh(kube, NAME).await?;
    }
    Ok(changed)
}

/// A `down` that was interrupted leaves the root on its way out; it would take with it what is applied now.
async fn until_not_ending(kube: &Kube) -> Result<(), ClusterError> {
    let api = application::api(kube);
    let started = Instant::now();
    loop {
        let root = api
            .get_metadata_opt(NAME)
            .await
            .map_err(ClusterError::kubernetes("read the root Application"))?;
        if root.is_none_or(|root| root.metadata.deletion_timestamp.is_none()) {
            return Ok(());
        }
        if started.elapsed() >= ENDING {
            return Err(ClusterError::GaveUp {
                what: "the root Application of an interrupted `down` is not gone".to_owned(),
                waited: ENDING,
                why: "Argo CD has not deleted everything yet; `cargo xtask logs argocd` says why"
                    .to_owned(),
            });
        }
        sleep(INTERVAL).await;
    }
}

/// Where a source and its revision are written together.
impl Source {
    /// The source at a revision.
    pub fn at(&self, revision: impl Into<String>) -> Revision {
        Revision {
            url: self.url.clone(),
            revision: revision.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revision_stands_in_the_root_and_in_what_it_does_to_its_children() {
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests");
        let wanted = Revision {
            url: "oci://registry:5000/lab".to_owned(),
            revision: "sha256:0123".to_owned(),
        };
        let root = root(&manifests, &wanted, "manifests/overlays/kind/apps").unwrap();
        let text = serde_json::to_string(&root).unwrap();
        assert!(!text.contains("set-by-root"), "{text}");
        assert_eq!(text.matches("oci://registry:5000/lab").count(), 3, "{text}");
        assert_eq!(text.matches("sha256:0123").count(), 2, "{text}");
        assert_eq!(
            root.data["spec"]["source"]["path"],
            "manifests/overlays/kind/apps"
        );
    }

    #[test]
    fn a_root_without_the_placeholders_is_refused() {
        let manifests = tempfile::tempdir().unwrap();
        fs::write(manifests.path().join("root.yaml"), "kind: Application\n").unwrap();
        let wanted = Revision {
            url: String::new(),
            revision: String::new(),
        };
        let error = root(manifests.path(), &wanted, "x").unwrap_err();
        assert!(
            error.to_string().contains("root.yaml is malformed"),
            "{error}"
        );
    }
}
