//! An installation of the lab speaks of the commands that it has, and works on what lies beside it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::{Mutex, PoisonError},
};

use tempfile::TempDir;

/// A program that is started while a test beside this one still writes its own is busy: the child holds that file, too.
static PROGRAMS: Mutex<()> = Mutex::new(());

/// `bin/lab` and `share/lab`, as a package installs them.
fn installation() -> TempDir {
    let prefix = tempfile::tempdir().unwrap();
    fs::create_dir(prefix.path().join("bin")).unwrap();
    fs::create_dir_all(prefix.path().join("share/lab/manifests")).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_xtask"), prefix.path().join("bin/lab")).unwrap();
    prefix
}

fn run(prefix: &Path, arguments: &[&str]) -> Output {
    Command::new(prefix.join("bin/lab"))
        .args(arguments)
        .env("LAB_STATE", prefix.join("state"))
        .env_remove("LAB_NAME")
        .env_remove("LAB_ROOT")
        .output()
        .unwrap()
}

#[test]
fn every_message_names_the_command_lab() {
    let _alone = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let prefix = installation();
    let cases: [(&[&str], &str); 6] = [
        (&["status"], "hint: bring the lab up with `lab bootstrap`"),
        // What only a clone has is not promised under this name.
        (&["test"], "hint: clone the repository"),
        (&["--help"], "Usage: lab [OPTIONS] <COMMAND>"),
        (&["verify", "--help"], "Usage: lab verify [OPTIONS]"),
        (&["--version"], "lab 0."),
        (&["completions", "bash"], "complete -F _lab "),
    ];
    for (arguments, expected) in cases {
        let output = run(prefix.path(), arguments);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains(expected), "{arguments:?} said:\n{said}");
        assert!(!said.contains("xtask"), "{arguments:?} said:\n{said}");
    }
}

#[test]
fn it_takes_the_cluster_engine_and_the_manifests_that_were_installed_with_it() {
    let _alone = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let prefix = installation();
    let output = run(prefix.path(), &["images", "list"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(
        said.contains("`lab-cluster` belongs beside this program"),
        "{said}"
    );
}
