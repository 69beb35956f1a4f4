//! The measurement as a user runs it: a broker of its own, a case, an account that balances, and nothing left.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use lab_tests::{
    command_line::{program, said},
    config::manifests,
    host_lab::processes_of,
    require,
};
use serde_json::Value;

#[test]
fn a_case_is_measured_and_its_account_balances() {
    if require::program(
        "a_case_is_measured_and_its_account_balances",
        "rabbitmq-server",
    )
    .is_none()
    {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let drawing = folder.path().join("throughput.svg");
    let mut command = measurement(
        folder.path(),
        &["--case", "quorum/12B/window-192/x4", "--json"],
    );
    command
        .args(["--rounds", "1", "--seconds", "2", "--svg"])
        .arg(&drawing);
    let report = said(command).with_code(0).json();
    assert_eq!(report["schema"], 1);
    assert_eq!(report["own_broker"], true);
    assert_eq!(report["perf_test"]["status"], "absent", "{report}");
    let cases = report["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 1, "{report}");
    let results = cases[0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 1, "the competitor is absent: {report}");
    assert_eq!(results[0]["competitor"], "lab");
    let account = &results[0]["accounts"][0];
    let count = |name: &str| account[name].as_u64().unwrap();
    assert!(count("confirmed") > 192, "{account}");
    assert_eq!(
        count("received"),
        count("acknowledged") + count("left"),
        "{account}"
    );
    for figure in [
        "confirmed_per_second",
        "client_cpu_seconds_per_million",
        "client_peak_memory_bytes",
        "broker_cpu_seconds_per_million",
        "confirm_latency_p50_ms",
        "end_to_end_latency_p99_ms",
    ] {
        let median = results[0]["figures"][figure]["median"].as_f64();
        assert!(
            median.is_some_and(|median| median > 0.0),
            "{figure}: {report}"
        );
    }
    assert_eq!(cases[0]["ratios"], Value::Object(serde_json::Map::new()));
    assert!(fs::read_to_string(&drawing).unwrap().starts_with("<svg"));
    assert_eq!(processes_of(folder.path()), [""; 0]);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "only the drawing is left: {left:?}");
}

#[test]
fn a_case_that_does_not_exist_is_refused_with_those_that_do() {
    let folder = tempfile::tempdir().unwrap();
    let refused = said(measurement(folder.path(), &["--case", "quorum/2KB"])).with_code(1);
    for part in ["no case matches `quorum/2KB`", "quorum/1KB/window-192/x4"] {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
}

#[test]
fn a_broker_that_does_not_answer_is_named_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let url = "http://somebody:secret@127.0.0.1:9";
    let refused = said(measurement(folder.path(), &["--broker", url])).with_code(1);
    assert!(refused.stderr.contains("cannot ask"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("secret"), "{}", refused.stderr);
}

/// The program that `cargo xtask bench` hands its command line to, with the workload of this build beside it.
fn measurement(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("lab-bench"));
    command
        .arg("bench")
        .args(arguments)
        .arg("--root")
        .arg(manifests().parent().unwrap())
        .arg("--state")
        .arg(folder)
        // Where its broker lives, and each run's logs and journals.
        .env("TMPDIR", folder)
        .env_remove("LAB_NAME")
        .env_remove("LAB_BENCH_BROKER")
        .env_remove("PERF_TEST")
        .stdin(Stdio::null());
    command
}
