//! Programs that Debian does not have and whose projects publish them as Go modules.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use anstream::eprintln;
use anyhow::Context as _;
use xshell::{Shell, cmd};

/// A program, and the module that it is built from.
const TOOLS: [(&str, &str); 1] = [("kustomize", "sigs.k8s.io/kustomize/kustomize/v5@v5.8.1")];

/// Builds what is missing, into the workspace's own directory. A machine without Go goes without: the tests that need one
/// of them are skipped by name.
pub fn install(root: &Path) -> anyhow::Result<()> {
    let shell = Shell::new()?;
    for (program, module) in TOOLS {
        if host::is_on_path(program) || directory(root).join(program).is_file() {
            continue;
        }
        if !host::is_on_path("go") {
            eprintln!("{program} is missing, and so is `go`, which could build it from {module}");
            continue;
        }
        eprintln!("Building {program} from {module}");
        let _target = shell.push_env("GOBIN", directory(root));
        cmd!(shell, "go install {module}")
            .quiet()
            .run()
            .with_context(|| format!("cannot build {program}"))?;
    }
    Ok(())
}

/// `PATH` with these programs behind the machine's own.
pub fn path(root: &Path) -> anyhow::Result<OsString> {
    let machine = env::var_os("PATH").unwrap_or_default();
    let directories = env::split_paths(&machine).chain([directory(root)]);
    env::join_paths(directories).context("cannot add the workspace's own programs to PATH")
}

/// Goes away with `cargo clean`.
fn directory(root: &Path) -> PathBuf {
    root.join("target/tools")
}
