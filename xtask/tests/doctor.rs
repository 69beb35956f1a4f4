//! What `doctor` says as a whole command: the order, the JSON and the exit code. Each finding's words are tested beside
//! the check that makes it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

/// Runs `doctor` where nothing but `path` is on PATH.
fn doctor(state: &Path, path: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("doctor")
        .args(arguments)
        .env("LAB_STATE", state)
        .env_remove("LAB_NAME")
        .env_remove("DOCKER_HOST")
        .env("PATH", path)
        .output()
        .unwrap()
}

fn findings(output: &Output) -> Vec<Value> {
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A field of the finding about a subject.
fn field(findings: &[Value], subject: &str, name: &str) -> String {
    let finding = findings
        .iter()
        .find(|finding| finding["subject"] == subject)
        .unwrap_or_else(|| panic!("nothing about {subject}: {findings:?}"));
    finding[name].as_str().unwrap_or_default().to_owned()
}

fn program(directory: &Path, name: &str, script: &str) {
    let path = directory.join(name);
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_machine_without_containers_is_told_that_only_kind_needs_them() {
    let state = tempfile::tempdir().unwrap();
    let findings = findings(&doctor(
        state.path(),
        Path::new("/nonexistent"),
        &["--json"],
    ));
    for subject in ["container engine", "kind", "kustomize"] {
        assert_eq!(field(&findings, subject, "engine"), "kind");
        assert_eq!(field(&findings, subject, "verdict"), "less");
        let found = field(&findings, subject, "found");
        assert!(found.contains("needed for --engine kind"), "{found}");
        assert!(!field(&findings, subject, "fix").is_empty());
    }
    let engines: Vec<&str> = findings
        .iter()
        .map(|finding| finding["engine"].as_str().unwrap())
        .collect();
    let mut groups = engines.clone();
    groups.dedup();
    assert_eq!(groups, ["every", "host", "kind"], "{engines:?}");
}

#[test]
fn what_docker_says_is_shown_with_its_meaning() {
    let state = tempfile::tempdir().unwrap();
    let path = tempfile::tempdir().unwrap();
    let words = "permission denied while trying to connect to the Docker daemon socket";
    program(
        path.path(),
        "docker",
        &format!("echo '{words}' >&2; exit 1"),
    );
    let findings = findings(&doctor(state.path(), path.path(), &["--json"]));
    assert_eq!(
        field(&findings, "container engine", "found"),
        format!("docker: {words}; needed for --engine kind only")
    );
    assert_eq!(
        field(&findings, "container engine", "fix"),
        "let this user use Docker: `sudo usermod -aG docker $USER`, then log in again"
    );
}

#[test]
fn a_kind_of_another_version_and_an_earlier_labs_cluster_are_found() {
    let state = tempfile::tempdir().unwrap();
    let path = tempfile::tempdir().unwrap();
    program(
        path.path(),
        "docker",
        r#"[ "$1" = info ] && echo '{"ServerVersion":"28.2.2","DockerRootDir":"/nonexistent"}'; exit 0"#,
    );
    program(
        path.path(),
        "kind",
        r#"[ "$1" = version ] && echo 'kind v0.20.0 go1.20 linux/amd64' || echo lab-old"#,
    );
    let findings = findings(&doctor(state.path(), path.path(), &["--json"]));
    let found = field(&findings, "kind", "found");
    assert!(found.starts_with("v0.20.0; "), "{found}");
    let found = field(&findings, "leftovers of old", "found");
    assert!(found.starts_with("cluster lab-old; "), "{found}");
    let fix = field(&findings, "leftovers of old", "fix");
    assert!(
        fix.contains("`kind delete cluster --name lab-old`"),
        "{fix}"
    );
}

#[test]
fn a_lab_that_cannot_be_read_is_bad_and_the_exit_code_says_so() {
    let state = tempfile::tempdir().unwrap();
    fs::create_dir(state.path().join("default")).unwrap();
    fs::write(state.path().join("default/lab.json"), r#"{"version":1,"#).unwrap();
    let output = doctor(state.path(), Path::new("/nonexistent"), &[]);
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("ENGINE  SUBJECT"), "{said}");
    let line = said
        .lines()
        .find(|line| line.contains("lab default"))
        .unwrap();
    for expected in ["BAD", "lab.json is malformed", "cargo xtask down --purge"] {
        assert!(line.contains(expected), "{line}");
    }
}
