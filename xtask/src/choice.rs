//! Which engine a command is for: the one that was asked for, the one that runs the lab, or what this machine has.

use std::{process::Stdio, time::Duration};

use anstream::eprintln;
use host::is_on_path;
use terminal::{
    Setting,
    cli::{ChaosEngine, Command, EngineKind},
    failure::{Exit, Failure},
};
use tokio::{process, time::timeout};

/// A container engine that says nothing for this long is taken for dead.
const PATIENCE: Duration = Duration::from_secs(10);

/// The container engines that kind can use, in its own order of preference.
const CONTAINER_ENGINES: [&str; 2] = ["docker", "podman"];

/// The engine of the command; `None` for a command that is about no lab.
pub async fn engine(setting: &Setting, command: &Command) -> anyhow::Result<Option<EngineKind>> {
    Ok(match command {
        Command::Bootstrap(arguments) => Some(match arguments.engine {
            Some(kind) => kind,
            None => match of_lab(setting)? {
                Some(kind) => kind,
                // A bundle holds images.
                None if arguments.bundle.is_some() => EngineKind::Kind,
                None => of_machine().await,
            },
        }),
        // Images and bundles need no lab.
        Command::Images(_) | Command::Bundle(_) => Some(EngineKind::Kind),
        Command::Status(_)
        | Command::Logs(_)
        | Command::Open(_)
        | Command::Credentials
        | Command::Profile(_)
        | Command::Verify(_)
        | Command::Push(_)
        | Command::Down(_) => of_lab(setting)?,
        Command::Chaos(arguments) => match arguments.engine {
            ChaosEngine::Cluster => Some(EngineKind::Cluster),
            // On a lab of its own.
            ChaosEngine::Host => None,
        },
        // The measurements are about labs of their own.
        Command::Bench(_)
        | Command::Doctor(_)
        | Command::Test(_)
        | Command::Completions(_)
        | Command::Supervise => None,
    })
}

/// The engine that runs the lab. A lab whose state cannot be read is left to the command, which knows what it needs of it.
fn of_lab(setting: &Setting) -> anyhow::Result<Option<EngineKind>> {
    if !setting.lab.exists() {
        return Ok(None);
    }
    Ok(setting
        .lab
        .load()
        .ok()
        .flatten()
        .map(|file| match file.engine {
            lab::Engine::Host => EngineKind::Host,
            lab::Engine::Kind(_) => EngineKind::Kind,
            lab::Engine::Cluster(_) => EngineKind::Cluster,
        }))
}

/// What this machine has, and why.
async fn of_machine() -> EngineKind {
    if !is_on_path("kind") {
        eprintln!("Engine: host, because `kind` is not on PATH.");
        return EngineKind::Host;
    }
    for program in CONTAINER_ENGINES {
        if answers(program).await {
            eprintln!("Engine: kind, because kind is there and {program} answers.");
            return EngineKind::Kind;
        }
    }
    eprintln!(
        "Engine: host, because kind is there but no container engine answers (`docker info`, `podman info`)."
    );
    EngineKind::Host
}

async fn answers(program: &str) -> bool {
    let info = process::Command::new(program)
        .arg("info")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status();
    timeout(PATIENCE, info)
        .await
        .is_ok_and(|status| status.is_ok_and(|status| status.success()))
}

/// `push` without a lab on a cluster.
pub fn nothing_to_push(setting: &Setting) -> anyhow::Error {
    let name = setting.lab.name();
    Failure::new(
        Exit::Missing,
        format!("the lab `{name}` has no cluster to push to"),
    )
    .hint(if setting.lab.exists() {
        "it is run by the host engine; bring another up with `cargo xtask bootstrap --engine kind --name NAME`"
    } else {
        "bring one up with `cargo xtask bootstrap --engine kind` or `--engine cluster`"
    })
    .into()
}
