//! The manifests as a cluster gets them: rendered by kustomize, object by object.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_json::Value;

use crate::{config::manifests, require};

/// A rendered object.
#[derive(Clone, Debug)]
pub struct Object {
    /// The directory under `manifests/` that it comes from.
    pub directory: String,
    /// What it is.
    pub value: Value,
}

/// A pod's template and what makes pods from it.
#[derive(Clone, Copy, Debug)]
pub struct PodTemplate<'a> {
    /// The workload.
    pub owner: &'a Object,
    /// The template: `metadata` and `spec`.
    pub template: &'a Value,
}

impl Object {
    /// Its `apiVersion`.
    pub fn api_version(&self) -> &str {
        text(&self.value["apiVersion"])
    }

    /// Its kind.
    pub fn kind(&self) -> &str {
        text(&self.value["kind"])
    }

    /// Its name.
    pub fn name(&self) -> &str {
        text(&self.value["metadata"]["name"])
    }

    /// Its namespace; empty for an object of the cluster.
    pub fn namespace(&self) -> &str {
        text(&self.value["metadata"]["namespace"])
    }

    /// The value of one of its annotations.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.value["metadata"]["annotations"][name].as_str()
    }

    /// The value of one of its labels.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.value["metadata"]["labels"][name].as_str()
    }

    /// Where it is found in a message: `loki: StatefulSet loki/loki`.
    pub fn id(&self) -> String {
        let (kind, namespace, name) = (self.kind(), self.namespace(), self.name());
        format!("{}: {kind} {namespace}/{name}", self.directory)
    }

    /// The template of its pods, where it makes some.
    pub fn pod_template(&self) -> Option<PodTemplate<'_>> {
        let template = match self.kind() {
            "Deployment" | "StatefulSet" | "DaemonSet" | "Job" => &self.value["spec"]["template"],
            _ => return None,
        };
        Some(PodTemplate {
            owner: self,
            template,
        })
    }
}

impl<'a> PodTemplate<'a> {
    /// The pods' own specification.
    pub fn spec(&self) -> &'a Value {
        &self.template["spec"]
    }

    /// The value of one of the pods' labels.
    pub fn label(&self, name: &str) -> Option<&'a str> {
        self.template["metadata"]["labels"][name].as_str()
    }

    /// The containers that run for as long as the pod does.
    pub fn containers(&self) -> &'a [Value] {
        items(&self.spec()["containers"])
    }

    /// Every container, those that run first included.
    pub fn all_containers(&self) -> impl Iterator<Item = &'a Value> {
        items(&self.spec()["initContainers"])
            .iter()
            .chain(self.containers())
    }

    /// Whether the pods carry every label of a selector.
    pub fn has_labels(&self, selector: &Value) -> bool {
        let labels = &self.template["metadata"]["labels"];
        selector
            .as_object()
            .is_some_and(|selector| selector.iter().all(|(name, value)| &labels[name] == value))
    }
}

/// The items of a list; of anything else, none.
pub fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text; empty where there is none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Directories under `manifests/` that kustomize builds, components (parts of others) left out.
pub fn directories() -> Vec<String> {
    let root = manifests();
    let mut found = Vec::new();
    let mut open = vec![root.clone()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).expect("a directory of manifests") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            }
        }
        let is_built = fs::read_to_string(directory.join("kustomization.yaml"))
            .is_ok_and(|kustomization| !kustomization.contains("kind: Component"));
        if is_built {
            let name = directory.strip_prefix(&root).expect("a directory below");
            found.push(name.display().to_string());
        }
    }
    found.sort_unstable();
    found
}

/// [`directories`] without those that need upstream's installation of Argo CD, where that is not at hand.
pub fn buildable() -> Vec<String> {
    let mut directories = directories();
    directories.retain(|directory| has_argocd() || !directory.ends_with("argocd"));
    directories
}

/// The program; `None`, with the test skipped by name, where it is missing.
pub fn program(test: &str) -> Option<PathBuf> {
    require::program(test, "kustomize")
}

/// Upstream's installation of Argo CD, which is fetched and not part of the repository.
pub fn has_argocd() -> bool {
    manifests().join("argocd/install.yaml").is_file()
}

/// Builds a directory under `manifests/`.
///
/// # Errors
/// What kustomize says.
pub fn build(kustomize: &Path, directory: &str) -> Result<Vec<Object>, String> {
    build_in(&manifests(), kustomize, directory)
}

/// [`build`] in a copy of the manifests.
///
/// # Errors
/// What kustomize says.
pub fn build_in(
    manifests: &Path,
    kustomize: &Path,
    directory: &str,
) -> Result<Vec<Object>, String> {
    let output = Command::new(kustomize)
        .arg("build")
        .arg(manifests.join(directory))
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let stream = String::from_utf8_lossy(&output.stdout);
    let documents = crate::config::documents(&stream).map_err(|error| error.to_string())?;
    documents
        .into_iter()
        .map(|document| {
            let value = serde_json::to_value(document).map_err(|error| error.to_string())?;
            Ok(Object {
                directory: directory.to_owned(),
                value,
            })
        })
        .collect()
}

/// Every object of a lab: of each directory that is no overlay, Argo CD's own where upstream's part is at hand; `None`, with
/// the test `test` skipped by name, without kustomize. The tests of one program share one rendering.
///
/// # Panics
/// When a directory does not build.
pub fn lab(test: &str) -> Option<&'static [Object]> {
    static LAB: OnceLock<Vec<Object>> = OnceLock::new();
    let kustomize = program(test)?;
    let objects = LAB.get_or_init(|| {
        buildable()
            .iter()
            .filter(|directory| !directory.starts_with("overlays/") && !is_part(directory))
            .flat_map(|directory| {
                build(&kustomize, directory).unwrap_or_else(|error| panic!("{directory}: {error}"))
            })
            .collect()
    });
    Some(objects)
}

/// A directory whose objects its parent builds too.
fn is_part(directory: &str) -> bool {
    let parent = Path::new(directory).parent().unwrap_or(Path::new(""));
    !parent.as_os_str().is_empty()
        && manifests()
            .join(parent)
            .join("kustomization.yaml")
            .is_file()
}
