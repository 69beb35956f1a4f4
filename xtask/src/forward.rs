//! Hands the same command line to a program of its own. Each is apart because it needs what a lab on one machine never
//! has to wait for: a Kubernetes client and TLS, or an AMQP client.

use std::{env, os::unix::process::CommandExt as _, process::Command};

use terminal::{
    Setting,
    failure::{Exit, Failure},
};

/// A program beside this one.
pub struct Program {
    what: &'static str,
    package: &'static str,
    name: &'static str,
}

/// The commands of a lab on Kubernetes.
pub const CLUSTER_ENGINE: Program = Program {
    what: "the cluster engine",
    package: "cluster",
    name: "lab-cluster",
};

/// The fault campaign.
pub const CHAOS: Program = Program {
    what: "the fault campaign",
    package: "chaos",
    name: "lab-chaos",
};

/// The measurements of the workload.
pub const BENCH: Program = Program {
    what: "the measurement",
    package: "bench",
    name: "lab-bench",
};

/// Replaces this program by another; returns only when that does not start.
pub fn to(program: &Program, setting: &Setting) -> anyhow::Error {
    let Program {
        what,
        package,
        name,
    } = program;
    let mut command = if setting.is_workspace {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(["run", "--quiet", "--package", package, "--bin", name])
            .arg("--manifest-path")
            .arg(setting.root.join("Cargo.toml"))
            .arg("--");
        command
    } else {
        Command::new(setting.programs.join(name))
    };
    let error = command.args(env::args_os().skip(1)).exec();
    Failure::new(Exit::Missing, format!("{what} does not start: {error}"))
        .hint(if setting.is_workspace {
            "install cargo, or put it on PATH".to_owned()
        } else {
            format!("install the lab again; `{name}` belongs beside this program")
        })
        .into()
}
