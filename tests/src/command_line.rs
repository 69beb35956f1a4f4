//! The lab's command line as a user runs it, on a state directory that goes away with the test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// A state directory and the command line on it. Dropping it ends and removes every lab in it, also when a test fails.
pub struct CommandLine {
    state: tempfile::TempDir,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Said {
    /// Demands an exit code and shows everything that was said otherwise.
    #[track_caller]
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout,
            self.stderr
        );
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error} in:\n{}", self.stdout))
    }
}

impl Default for CommandLine {
    fn default() -> Self {
        Self {
            state: tempfile::tempdir().expect("a temporary directory"),
        }
    }
}

impl CommandLine {
    /// The directory of the lab `default`.
    pub fn lab(&self) -> PathBuf {
        self.state.path().join("default")
    }

    /// A command that is not yet started, so that a test can change its environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("xtask"));
        command
            .args(arguments)
            .arg("--state")
            .arg(self.state.path())
            .env_remove("LAB_NAME")
            .env_remove("LAB_ROOT")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments))
    }

    /// `lab.json` of the lab `default`.
    pub fn lab_file(&self) -> Value {
        let text = fs::read_to_string(self.lab().join("lab.json")).expect("lab.json");
        serde_json::from_str(&text).expect("JSON in lab.json")
    }
}

impl Drop for CommandLine {
    fn drop(&mut self) {
        let Ok(labs) = fs::read_dir(self.state.path()) else {
            return;
        };
        for lab in labs.flatten() {
            let name = lab.file_name().to_string_lossy().into_owned();
            let said = self.run(&["down", "--purge", "--name", &name]);
            // A second panic would hide the first one.
            if said.code != Some(0) && !std::thread::panicking() {
                panic!("a lab could not be ended: {said:?}");
            }
        }
    }
}

/// Runs a prepared command to its end.
pub fn said(mut command: Command) -> Said {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the command line starts");
    Said {
        code: status.code(),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// A program of this workspace, beside the directory of the running test.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let target = test
        .parent()
        .and_then(Path::parent)
        .expect("target/<profile>/deps/<test>");
    let program = target.join(name);
    assert!(
        program.is_file(),
        "{} is not built: run `cargo build --workspace --bins`",
        program.display()
    );
    program
}
