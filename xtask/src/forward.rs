//! Hands the same command line to the program of another crate. Those programs are apart because they need what a lab on
//! one machine never has to wait for, such as a Kubernetes client and TLS.

use std::{env, os::unix::process::CommandExt as _, process::Command};

use terminal::{
    Setting,
    failure::{Exit, Failure},
};

/// Replaces this program by `program` of the crate `package`; returns only when that does not start.
pub fn to(setting: &Setting, package: &str, program: &str) -> anyhow::Error {
    let mut command = if setting.is_workspace {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(["run", "--quiet", "--package", package, "--bin", program])
            .arg("--manifest-path")
            .arg(setting.root.join("Cargo.toml"))
            .arg("--");
        command
    } else {
        Command::new(setting.programs.join(program))
    };
    let error = command.args(env::args_os().skip(1)).exec();
    Failure::new(
        Exit::Missing,
        format!("the program `{program}` does not start: {error}"),
    )
    .hint(if setting.is_workspace {
        "install cargo, or put it on PATH".to_owned()
    } else {
        format!("install the lab again; `{program}` belongs beside this program")
    })
    .into()
}
