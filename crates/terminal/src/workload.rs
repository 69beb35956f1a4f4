//! Builds the producer and the consumer beside this program, in a workspace.

use std::{os::unix::process::ExitStatusExt as _, path::Path, process::Stdio};

use anstream::eprintln;
use anyhow::Context as _;
use rustix::process::Signal;
use tokio::process::Command;

use crate::{
    Setting,
    failure::{Exit, Failure},
};

/// Makes sure that the workload's programs exist: built by cargo in a workspace, installed otherwise.
pub async fn build(setting: &Setting) -> anyhow::Result<()> {
    if setting.is_workspace {
        return cargo_build(&setting.root, &setting.programs).await;
    }
    for name in ["producer", "consumer"] {
        let program = setting.programs.join(name);
        if !program.is_file() {
            return Err(Failure::new(
                Exit::Missing,
                format!("the workload's program {} is missing", program.display()),
            )
            .hint("install the lab again; its programs lie in one directory")
            .into());
        }
    }
    Ok(())
}

/// Cargo's own messages go to the terminal: they are the progress of a step that can take minutes.
async fn cargo_build(root: &Path, programs: &Path) -> anyhow::Result<()> {
    eprintln!("Building the workload");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(root)
        .args([
            "build",
            "--quiet",
            "--package",
            "producer",
            "--package",
            "consumer",
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    // The programs must land beside this one, whichever profile it was built with.
    if programs.file_name().is_some_and(|name| name == "release") {
        command.arg("--release");
    }
    let status = command.status().await.context("cannot run cargo")?;
    if status.success() {
        return Ok(());
    }
    if status.signal() == Some(Signal::INT.as_raw()) {
        // Ctrl-C in a terminal reaches cargo too. That nothing was built is no failure then: the command ends as interrupted.
        return std::future::pending().await;
    }
    Err(Failure::new(
        Exit::Unexpected,
        format!("cargo cannot build the workload: {status}"),
    )
    .hint("its messages stand above; after mending them run the same command again")
    .into())
}
