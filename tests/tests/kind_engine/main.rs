//! The kind engine from end to end on a machine without containers: `docker` and `kind` are played by the test, the registry
//! and the API server behind them are real.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bundle;
mod container_engine;
mod crashes;
mod lifecycle;
mod messages;
mod reports;
mod transcript;

use std::collections::BTreeMap;

use lab_tests::kind_lab::KindLab;

/// The steps of a bootstrap in their order.
const STEPS: [&str; 15] = [
    "argo cd's manifest",
    "programs",
    "engine",
    "network",
    "registry",
    "cluster",
    "api server",
    "images",
    "mirrors",
    "namespaces",
    "secrets",
    "argo cd",
    "argo cd's pods",
    "manifests",
    "root",
];

/// What no controller and no Application changes, with identity and version.
fn objects(lab: &KindLab) -> BTreeMap<String, String> {
    const KINDS: &str = "namespaces,secrets,configmaps,services,networkpolicies,roles,rolebindings,customresourcedefinitions";
    list(lab, KINDS, "{.metadata.uid} {.metadata.resourceVersion}")
}

/// What controllers and Argo CD change, with identity.
fn workloads(lab: &KindLab) -> BTreeMap<String, String> {
    list(
        lab,
        "deployments,statefulsets,pods,applications",
        "{.metadata.uid}",
    )
}

/// The data of every Secret with a password.
fn secrets(lab: &KindLab) -> BTreeMap<String, String> {
    let mut secrets = list(lab, "secrets", "{.data}");
    secrets.retain(|name, _| !name.starts_with("Secret/argocd/"));
    secrets
}

fn list(lab: &KindLab, kinds: &str, what: &str) -> BTreeMap<String, String> {
    let output = format!(
        "jsonpath={{range .items[*]}}{{.kind}}/{{.metadata.namespace}}/{{.metadata.name}} {what}{{\"\\n\"}}{{end}}"
    );
    let said = lab.kubectl(&["get", kinds, "--all-namespaces", "--output", &output]);
    let lines = said.lines().filter_map(|line| line.split_once(' '));
    lines
        .map(|(name, what)| (name.to_owned(), what.to_owned()))
        .collect()
}
