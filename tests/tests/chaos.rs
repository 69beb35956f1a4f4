//! The fault campaign as a user runs it, and the proof that its judge can say no.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use lab_tests::{
    command_line::{program, said},
    config::manifests,
    host_lab::{self, processes_of},
};
use serde_json::Value;
use terminal::cli::ChaosEngine;

/// Some seed; what it deals is a schedule like any other.
const SEED: u64 = 20_260_101;

#[test]
fn the_workload_survives_every_fault_once() {
    if host_lab::command_line("the_workload_survives_every_fault_once").is_none() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let report = said(chaos(
        &program("lab-chaos"),
        state.path(),
        &["--seed", &SEED.to_string(), "--json"],
    ))
    .with_code(0)
    .json();
    assert_eq!(
        (&report["schema"], &report["holds"], &report["seed"]),
        (&1.into(), &true.into(), &SEED.into()),
        "{report}"
    );
    let dealt: BTreeSet<&str> = report["faults"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|fault| fault["fault"].as_str())
        .collect();
    assert_eq!(dealt.len(), ChaosEngine::Host.faults().count(), "{report}");
    let ledger = &report["ledger"];
    assert!(ledger["confirmed"].as_u64() >= Some(50_000), "{ledger}");
    assert_eq!(ledger["lost"], 0);
    assert_eq!(ledger["unaccounted"], 0);
    assert_eq!(ledger["unexplained"], Value::Array(Vec::new()));
    assert_eq!(ledger["dead_letters"], 1, "the poison");
    assert_eq!(processes_of(state.path()), [""; 0]);
    assert!(!state.path().join("chaos").exists(), "a lab is left");
}

#[test]
fn a_consumer_that_acknowledges_too_early_is_found_out() {
    if host_lab::command_line("a_consumer_that_acknowledges_too_early_is_found_out").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let installed = with_another_consumer(folder.path());
    let state = folder.path().join("state");
    let run = |arguments: &[&str]| {
        let mut command = chaos(&installed, &state, arguments);
        command.arg("--root").arg(manifests().parent().unwrap());
        said(command)
    };
    let report = run(&["--seed", "1", "--faults", "kill-consumer", "--json"])
        .with_code(4)
        .json();
    assert_eq!(report["holds"], false);
    assert_eq!(report["stuck"], Value::Null, "{report}");
    assert!(report["ledger"]["lost"].as_u64() > Some(0), "{report}");
    let replay = report["replay"].as_str().unwrap();
    assert!(
        replay.ends_with(" chaos --seed 1 --faults kill-consumer"),
        "{replay}"
    );
    assert_eq!(processes_of(&state), [""; 0]);

    // What was kept is left alone until somebody has looked at it.
    assert!(state.join("chaos").is_dir());
    let refused = run(&[]).with_code(1).stderr;
    assert!(refused.contains("down --purge --name chaos"), "{refused}");
}

/// The campaign's program beside a consumer that is wrong on purpose, as an installation has it beside the lab's own.
fn with_another_consumer(folder: &Path) -> PathBuf {
    let installed = folder.join("lab-chaos");
    // It finds the others by where its own file lies, with every link followed.
    fs::copy(program("lab-chaos"), &installed).unwrap();
    symlink(program("producer"), folder.join("producer")).unwrap();
    symlink(program("forgetful-consumer"), folder.join("consumer")).unwrap();
    installed
}

/// The program that `cargo xtask chaos` hands its command line to.
fn chaos(program: &Path, state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .arg("chaos")
        .args(arguments)
        .arg("--state")
        .arg(state)
        .env_remove("LAB_NAME")
        .env_remove("LAB_ROOT")
        .stdin(Stdio::null());
    command
}
