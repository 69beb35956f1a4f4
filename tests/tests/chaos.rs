//! The fault campaign as a user runs it, and the proof that its judge can say no.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    future::pending,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use chaos::Campaign;
use lab_tests::{
    command_line::{program, said},
    config::manifests,
    host_lab::{self, processes_of},
};
use serde_json::Value;
use terminal::cli::Fault;

/// Some seed; what it deals is a schedule like any other.
const SEED: u64 = 20_260_101;

#[test]
fn the_workload_survives_every_fault_once() {
    if host_lab::command_line("the_workload_survives_every_fault_once").is_none() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let report = said(chaos(
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
    assert_eq!(dealt.len(), Fault::all().len(), "{report}");
    let ledger = &report["ledger"];
    assert!(ledger["confirmed"].as_u64() >= Some(50_000), "{ledger}");
    assert_eq!(ledger["lost"], 0);
    assert_eq!(ledger["unaccounted"], 0);
    assert_eq!(ledger["unexplained"], Value::Array(Vec::new()));
    assert_eq!(ledger["dead_letters"], 1, "the poison");
    assert_eq!(processes_of(state.path()), [""; 0]);
    assert!(!state.path().join("chaos").exists(), "a lab is left");
}

#[tokio::test]
async fn a_consumer_that_acknowledges_too_early_is_found_out() {
    if host_lab::command_line("a_consumer_that_acknowledges_too_early_is_found_out").is_none() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let campaign = Campaign {
        state: state.path().to_owned(),
        manifests: manifests(),
        producer: program("producer"),
        consumer: program("forgetful-consumer"),
        supervisor: program("lab-chaos"),
        seed: SEED,
        faults: vec![Fault::KillConsumer],
        length: Duration::ZERO,
        replay: "this test".to_owned(),
    };
    let report = chaos::run(&campaign, pending()).await.unwrap().unwrap();
    assert!(report.stuck.is_none(), "{report:?}");
    assert!(!report.holds());
    let verdict = report.verdict.as_ref().unwrap();
    assert!(verdict.lost_count > 0, "{verdict:?}");
    assert!(report.to_table().contains("To see it again: this test"));
    assert_eq!(report.kept.as_deref(), Some(&*state.path().join("chaos")));
    assert_eq!(processes_of(state.path()), [""; 0]);

    // What was kept is left alone until somebody has looked at it.
    let refused = said(chaos(state.path(), &[])).with_code(1);
    assert!(
        refused.stderr.contains("down --purge --name chaos"),
        "{}",
        refused.stderr
    );
}

/// The program that `cargo xtask chaos` hands its command line to.
fn chaos(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("lab-chaos"));
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
