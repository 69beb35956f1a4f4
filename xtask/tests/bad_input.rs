//! What the command line says to wrong input. The reviewed text is `bad_input.out`; after a meant change write it
//! again with `UPDATE_EXPECT=1 cargo test --package xtask`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use expect_test::expect_file;

fn run(state: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .env("LAB_STATE", state)
        .env_remove("LAB_NAME")
        .env_remove("LAB_ROOT")
        // clap wraps its messages to the terminal's width.
        .env("COLUMNS", "100")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// An invocation with its exit code and both streams, the state directory replaced by `$STATE`.
fn transcript(state: &Path, arguments: &[&str]) -> String {
    let output = run(state, arguments);
    let mut text = format!(
        "$ xtask {}\nexit code: {:?}\n",
        arguments.join(" "),
        output.status.code()
    );
    for (name, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
        let said = String::from_utf8(bytes).unwrap();
        let said = said.replace(&state.display().to_string(), "$STATE");
        if !said.is_empty() {
            writeln!(text, "{name}:").unwrap();
            said.lines().for_each(|line| {
                writeln!(text, "    {line}").unwrap();
            });
        }
    }
    text.push('\n');
    text
}

#[test]
fn wrong_input_gets_a_clear_answer() {
    let state = tempfile::tempdir().unwrap();
    let lab = |name: &str, content: &str| {
        fs::create_dir(state.path().join(name)).unwrap();
        fs::write(state.path().join(name).join("lab.json"), content).unwrap();
    };
    lab("older", r#"{"version":0}"#);
    lab("damaged", r#"{"version":1,"#);
    let invocations: &[&[&str]] = &[
        &["bootstrap", "--engine", "docker"],
        &["bootstrap", "--name", "../elsewhere"],
        &["bootstrap", "--engine", "host", "--name", "older"],
        &["bootstrap", "--engine", "host", "--name", "damaged"],
        &["status"],
        &["status", "--json", "--watch"],
        &["logs", "rabbit"],
        &["logs", "rabbitmq"],
        &["verify"],
        &["verify", "--arrow", "rabbitmq->loki"],
        &["profile", "loki"],
        &["profile", "producer", "--seconds", "0"],
        &["credentials"],
        &["push"],
        &["status", "--root", "/nonexistent"],
        &["down"],
        &["down", "--name", "older"],
        &["down", "--name", "older", "--purge"],
        &["down", "--name", "damaged", "--purge"],
        &["chaos", "--engine", "kind"],
        &["chaos", "--faults", "kill-pod"],
        &["completions", "cmd"],
        &["supervice"],
    ];
    let text: String = invocations
        .iter()
        .map(|arguments| transcript(state.path(), arguments))
        .collect();
    expect_file!["bad_input.out"].assert_eq(&text);
}

#[test]
fn a_machine_without_the_programs_is_told_all_of_them_and_nothing_is_started() {
    let state = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["bootstrap", "--engine", "host", "--state"])
        .arg(state.path())
        .env("PATH", "/nonexistent")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for expected in ["prometheus", "alertmanager", "--install", "apt-get install"] {
        assert!(said.contains(expected), "{said}");
    }
    assert!(!state.path().join("default/supervisor.sock").exists());
}

#[test]
fn state_that_cannot_be_written_is_named() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("file");
    fs::write(&file, "").unwrap();
    let output = run(&file, &["bootstrap", "--engine", "host"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("cannot create") && said.contains("file/default"),
        "{said}"
    );
}

#[test]
fn a_bootstrap_beside_another_is_refused() {
    let state = tempfile::tempdir().unwrap();
    let lab = lab::Lab::at(state.path(), "default");
    let _held = lab.lock_for_change().unwrap();
    let output = run(state.path(), &["bootstrap", "--engine", "host"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("another command is changing the lab"),
        "{said}"
    );
    assert!(said.contains("hint:"), "{said}");
}
