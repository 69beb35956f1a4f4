//! `chaos --engine cluster` before its first fault, against a real API server: what a lab must have, and what a campaign that
//! was killed has left behind. Nothing runs its pods here, so that no fault is made.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use lab::{Cluster, Engine, Lab};
use lab_tests::{
    api_server::{ADMINISTRATOR, ApiServer},
    command_line::{Said, program, said},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const CONTEXT: &str = "somewhere";
const WORKLOAD: &str = "rabbitmq-rust-app";

/// A lab on a cluster of which there is nothing but the API server.
struct Given {
    api: ApiServer,
    folder: TempDir,
    lab: Lab,
}

impl Given {
    fn new(test: &str) -> Option<Self> {
        let api = ApiServer::start(test)?;
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("kubeconfig"),
            api.kubeconfig(CONTEXT, ADMINISTRATOR),
        )
        .unwrap();
        fs::create_dir(folder.path().join("journals")).unwrap();
        let lab = Lab::at(&folder.path().join("state"), "default");
        let engine = Engine::Cluster(Cluster {
            context: CONTEXT.to_owned(),
            registry: "registry.test/lab".to_owned(),
            pulled_from: "registry.test/lab".to_owned(),
            plain_http: false,
            namespace_prefix: String::new(),
            storage_class: None,
        });
        lab.load_or_create(&engine).unwrap();
        let this = Self { api, folder, lab };
        this.create(&json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": WORKLOAD },
        }));
        Some(this)
    }

    fn journals(&self) -> std::path::PathBuf {
        self.folder.path().join("journals")
    }

    fn create(&self, object: &Value) {
        let object = object.to_string();
        self.api
            .kubectl(&["create", "--filename=-"], &object)
            .unwrap();
    }

    /// A node that says that it is ready, and is cordoned in somebody's name.
    fn node(&self, name: &str, cordoned_by: Option<&str>) {
        let annotations = match cordoned_by {
            Some(lab) => json!({ "lab/drained-by": lab }),
            None => json!({}),
        };
        self.create(&json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": name, "annotations": annotations },
            "spec": { "unschedulable": cordoned_by.is_some() },
        }));
        let ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
        let patch = ready.to_string();
        let status = [
            "patch",
            "node",
            name,
            "--subresource=status",
            "--patch",
            &patch,
        ];
        self.api.kubectl(&status, "").unwrap();
        // Admission takes a new node for one that is not ready, and the controller that looks again does not run here.
        let open = [
            "patch",
            "node",
            name,
            "--patch",
            r#"{"spec":{"taints":null}}"#,
        ];
        self.api.kubectl(&open, "").unwrap();
    }

    fn is_cordoned(&self, node: &str) -> bool {
        let said = self
            .api
            .kubectl(&["get", "node", node, "--output=json"], "");
        let node: Value = serde_json::from_str(&said.unwrap()).unwrap();
        let is_marked = node["metadata"]["annotations"]["lab/drained-by"].is_string();
        let is_closed = node["spec"]["unschedulable"] == true;
        assert_eq!(is_closed, is_marked, "{node}");
        is_closed
    }

    fn chaos(&self, arguments: &[&str]) -> Said {
        chaos(self.folder.path(), arguments)
    }
}

fn chaos(folder: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new(program("lab-cluster"));
    command
        .args(["chaos", "--engine", "cluster"])
        .args(arguments)
        .arg("--state")
        .arg(folder.join("state"))
        .env("KUBECONFIG", folder.join("kubeconfig"))
        .env_remove("LAB_NAME")
        .env_remove("LAB_ROOT")
        .stdin(Stdio::null());
    said(command)
}

/// Demands a refusal that says this.
#[track_caller]
fn refused(said: Said, code: i32, words: &[&str]) {
    let said = said.with_code(code);
    for word in words {
        assert!(said.stderr.contains(word), "no `{word}` in {}", said.stderr);
    }
    assert!(said.stderr.contains("hint: "), "{}", said.stderr);
}

#[test]
fn a_lab_that_is_not_fit_is_told_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = chaos(folder.path(), &[]);
    refused(nothing, 3, &["there is no lab `default` on a cluster"]);

    let Some(lab) = Given::new("a_lab_that_is_not_fit_is_told_what_it_lacks") else {
        return;
    };
    lab.node("one", None);
    let foreign = lab.chaos(&["--faults", "poison,freeze-broker"]);
    let known = [
        "`freeze-broker` is no fault of the cluster engine",
        "drain-node",
    ];
    refused(foreign, 2, &known);
    refused(lab.chaos(&[]), 3, &["nothing says where", "--journals DIR"]);
    let nowhere = lab.chaos(&["--journals", "/nonexistent"]);
    refused(nowhere, 3, &["there is no directory /nonexistent"]);

    let journals = lab.journals().display().to_string();
    let drain = ["--journals", &journals, "--faults", "drain-node"];
    let alone = "cannot have `drain-node`: 1 of its nodes take pods";
    refused(lab.chaos(&drain), 3, &[alone]);
    lab.node("two", None);
    refused(lab.chaos(&drain), 3, &["it has no three brokers"]);

    lab.create(&json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": "default", "namespace": WORKLOAD },
    }));
    lab.create(&json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "producer-1", "namespace": WORKLOAD,
            "labels": { "app.kubernetes.io/name": "producer" } },
        "spec": { "containers": [{ "name": "c", "image": "x" }] },
    }));
    let unwritten = lab.chaos(&["--journals", &journals]);
    refused(unwritten, 3, &["the pod producer-1 keeps none at"]);
}

#[test]
fn what_a_killed_campaign_has_cordoned_is_uncordoned_and_nothing_else() {
    let test = "what_a_killed_campaign_has_cordoned_is_uncordoned_and_nothing_else";
    let Some(lab) = Given::new(test) else {
        return;
    };
    let instance = lab.lab.load().unwrap().unwrap().instance.to_string();
    lab.node("ours", Some(&instance));
    lab.node("another-labs", Some("another"));
    // It goes no further than that.
    refused(lab.chaos(&[]), 3, &["nothing says where"]);
    assert!(!lab.is_cordoned("ours"));
    assert!(lab.is_cordoned("another-labs"));
}

#[test]
fn an_api_server_that_is_gone_is_named() {
    let Some(mut lab) = Given::new("an_api_server_that_is_gone_is_named") else {
        return;
    };
    lab.api.stop();
    let asked = "the API server does not answer the attempt to say which nodes are still cordoned";
    refused(lab.chaos(&[]), 1, &[asked]);
    fs::remove_file(lab.folder.path().join("kubeconfig")).unwrap();
    refused(
        lab.chaos(&[]),
        1,
        &["the context `somewhere` cannot be used"],
    );
}
