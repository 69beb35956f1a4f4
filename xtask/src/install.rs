//! Installs Debian packages, without letting them start services of their own.

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use anstream::eprintln;
use anyhow::Context as _;
use xshell::{Shell, cmd};

use terminal::failure::{Exit, Failure};

/// The script that Debian's package scripts ask before they start a service (`invoke-rc.d(8)`).
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Refuses every start: exit status 101 is "action forbidden by policy".
const REFUSE: &str =
    "#!/bin/sh\n# Put here by `cargo xtask --install` and removed by it.\nexit 101\n";

/// Installs packages as root, or through sudo. The lab runs its own processes, so a freshly installed broker or
/// Prometheus must not start as a service and take their ports.
pub fn packages(packages: &[&str]) -> anyhow::Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let shell = Shell::new()?;
    if cmd!(shell, "apt-get --version")
        .quiet()
        .ignore_stdout()
        .run()
        .is_err()
    {
        return Err(Failure::new(
            Exit::Missing,
            format!(
                "cannot install {}: this machine has no apt-get",
                packages.join(", ")
            ),
        )
        .hint("install those programs with this system's package manager and leave out --install")
        .into());
    }
    eprintln!("Installing {}", packages.join(", "));
    let _quiet = rustix::process::geteuid()
        .is_root()
        .then(NoServices::begin)
        .transpose()?;
    let _environment = shell.push_env("DEBIAN_FRONTEND", "noninteractive");
    // A fresh machine has no package lists; a used one may have old ones.
    run(&shell, &["update", "--quiet=2"])?;
    let mut install = vec!["install", "--yes", "--quiet=2", "--no-install-recommends"];
    install.extend(packages);
    run(&shell, &install)
}

fn run(shell: &Shell, arguments: &[&str]) -> anyhow::Result<()> {
    let command = if rustix::process::geteuid().is_root() {
        cmd!(shell, "apt-get {arguments...}")
    } else {
        cmd!(
            shell,
            "sudo --preserve-env=DEBIAN_FRONTEND apt-get {arguments...}"
        )
    };
    let output = command
        .quiet()
        .ignore_status()
        .output()
        .context("cannot run apt-get")?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(
        Exit::Missing,
        format!("`apt-get {}` failed: {}", arguments.join(" "), words.trim()),
    )
    .hint("mend what apt-get says, then run the same command again")
    .into())
}

/// While it lives, package scripts start no service. A policy that the machine already has is respected.
struct NoServices;

impl NoServices {
    fn begin() -> anyhow::Result<Option<Self>> {
        if Path::new(POLICY).exists() {
            return Ok(None);
        }
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(POLICY)
            .and_then(|mut file| file.write_all(REFUSE.as_bytes()))
            .with_context(|| format!("cannot write {POLICY}"))?;
        Ok(Some(Self))
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(POLICY) {
            eprintln!("warning: cannot remove {POLICY}: {error}; remove it by hand");
        }
    }
}
