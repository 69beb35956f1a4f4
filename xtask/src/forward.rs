//! Hands the same command line to the cluster engine's own program. It is apart because it needs a Kubernetes client and
//! TLS, which a lab on one machine never has to wait for.

use std::{env, os::unix::process::CommandExt as _, process::Command};

use terminal::{
    Setting,
    failure::{Exit, Failure},
};

/// The cluster engine's program.
const PROGRAM: &str = "lab-cluster";

/// Replaces this program by the cluster engine's; returns only when that does not start.
pub fn to_cluster_engine(setting: &Setting) -> anyhow::Error {
    let mut command = if setting.is_workspace {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(["run", "--quiet", "--package", "cluster", "--bin", PROGRAM])
            .arg("--manifest-path")
            .arg(setting.root.join("Cargo.toml"))
            .arg("--");
        command
    } else {
        Command::new(setting.programs.join(PROGRAM))
    };
    let error = command.args(env::args_os().skip(1)).exec();
    Failure::new(
        Exit::Missing,
        format!("the cluster engine does not start: {error}"),
    )
    .hint(if setting.is_workspace {
        "install cargo, or put it on PATH"
    } else {
        "install the lab again; `lab-cluster` belongs beside this program"
    })
    .into()
}
