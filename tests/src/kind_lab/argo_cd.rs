//! Kubelet and Argo CD, as far as a bootstrap looks at them: pods that become ready, and Applications that are in sync.

use std::path::Path;

use serde_json::{Value, json};

use super::KindLab;
use crate::{kustomize, wait};

/// The pods that Argo CD consists of in these tests.
const PODS: usize = 5;

/// Makes every pod of Argo CD ready.
pub(super) fn make_ready(lab: &KindLab) {
    let pods = wait::until_blocking("Argo CD's pods", || {
        let pods = pods(lab);
        match pods.len() {
            PODS => Ok(pods),
            other => Err(format!("{other} pods")),
        }
    });
    for pod in pods {
        set_status(
            lab,
            &pod,
            &json!({
                "phase": "Running",
                "conditions": [{ "type": "Ready", "status": "True" }],
            }),
        );
    }
}

/// The names of Argo CD's pods.
pub fn pods(lab: &KindLab) -> Vec<String> {
    let said = lab.kubectl(&["get", "pods", "--namespace=argocd", "--output=name"]);
    said.lines().map(str::to_owned).collect()
}

/// Says what kubelet would say of a pod.
pub fn set_status(lab: &KindLab, pod: &str, status: &Value) {
    let patch = json!({ "status": status }).to_string();
    lab.kubectl(&[
        "patch",
        pod,
        "--namespace=argocd",
        "--subresource=status",
        "--type=merge",
        "--patch",
        &patch,
    ]);
}

/// Makes the Applications that the root asks for, all synced and healthy at its revision, and the root too.
pub(super) fn sync(lab: &KindLab, kustomize: &Path) {
    let root = root(lab);
    let status = synced(&root["spec"]["source"]);
    let mut applications = Vec::new();
    let built = kustomize::build(kustomize, "overlays/kind/apps").expect("the Applications");
    for object in built.iter().filter(|object| object.kind() == "Application") {
        let mut application = object.value.clone();
        for field in ["repoURL", "targetRevision"] {
            application["spec"]["source"][field] = root["spec"]["source"][field].clone();
        }
        application["status"] = status.clone();
        applications.push(application);
    }
    apply_all(lab, applications);
    // Loki does not run here: it counts as one that has stored its first delete request.
    lab.kubectl(&[
        "annotate",
        "application",
        "root",
        "--namespace=argocd",
        "--overwrite",
        "lab/delete-request=stored",
    ]);
    patch(lab, "root", &status);
}

/// Applies a directory of the manifests.
pub(super) fn apply(lab: &KindLab, kustomize: &Path, directory: &str) {
    let built = kustomize::build(kustomize, directory).expect("a directory that builds");
    apply_all(lab, built.into_iter().map(|object| object.value).collect());
}

fn apply_all(lab: &KindLab, objects: Vec<Value>) {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string();
    lab.kubectl_with(
        &[
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager=argocd",
            "--filename=-",
        ],
        &list,
    );
}

/// The root Application.
pub(super) fn root(lab: &KindLab) -> Value {
    let said = lab.kubectl(&[
        "get",
        "application",
        "root",
        "--namespace=argocd",
        "--output=json",
    ]);
    serde_json::from_str(&said).expect("JSON of kubectl")
}

/// Says what Argo CD would say of an Application.
pub fn patch(lab: &KindLab, application: &str, status: &Value) {
    let patch = json!({ "status": status }).to_string();
    lab.kubectl(&[
        "patch",
        "application",
        application,
        "--namespace=argocd",
        "--type=merge",
        "--patch",
        &patch,
    ]);
}

fn synced(source: &Value) -> Value {
    json!({
        "sync": { "status": "Synced", "revision": source["targetRevision"], "comparedTo": { "source": source } },
        "health": { "status": "Healthy" },
        "operationState": { "phase": "Succeeded" },
    })
}
