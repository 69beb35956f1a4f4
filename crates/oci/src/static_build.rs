//! The workload as static programs: the `cargo` invocation whose output depends on the sources and the toolchain alone.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

use crate::manifest::Platform;

/// Separates flags in `CARGO_ENCODED_RUSTFLAGS`, which allows spaces in paths.
const SEPARATOR: &str = "\u{1f}";

/// Where the sources are, for the program's panics and profiles.
const WORKSPACE: &str = "/lab";

/// Where the dependencies' sources are, likewise.
const CARGO_HOME: &str = "/cargo";

/// A build of programs for images. Two of them in different directories give the same bytes, if rustc and the static glibc
/// of the machine (`libc.a`, in Debian's libc6-dev) are the same.
///
/// Of the root the programs need what a container's runtime mounts: `/proc`, without which profiles are empty, and
/// `/dev/urandom`, because a static program cannot look up whether its libc has `getrandom`. Names are resolved without
/// files of glibc's (2.34 or later).
#[derive(Clone, Debug)]
pub struct StaticBuild {
    /// The workspace's root.
    pub workspace: PathBuf,
    /// Cargo's own directory: `CARGO_HOME`, else `~/.cargo`.
    pub cargo_home: PathBuf,
    /// Where the output goes. Not the directory of other builds: their flags are others.
    pub target_directory: PathBuf,
    /// What the programs run on.
    pub platform: Platform,
}

impl StaticBuild {
    /// The invocation that builds the programs of these packages.
    ///
    /// The flags replace those of `.cargo/config.toml`, as cargo defines it, so that the frame pointers by which the
    /// profiler walks the stack are asked for again. They go to the target only, which is named for that: procedural
    /// macros cannot be static. Without `relocation-model` the programs would be static but position-independent.
    pub fn command(&self, cargo: &OsStr, packages: &[&str]) -> Command {
        let mut command = Command::new(cargo);
        command.current_dir(&self.workspace).args([
            "build",
            "--release",
            "--locked",
            "--target",
            &self.triple(),
        ]);
        for package in packages {
            command.args(["--package", package]);
        }
        command
            .arg("--target-dir")
            .arg(&self.target_directory)
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags());
        command
    }

    /// Where a program of the build is.
    pub fn program(&self, name: &str) -> PathBuf {
        self.target_directory
            .join(self.triple())
            .join("release")
            .join(name)
    }

    fn triple(&self) -> String {
        let architecture = match self.platform.architecture.as_str() {
            "amd64" => "x86_64",
            "arm64" => "aarch64",
            other => other,
        };
        format!("{architecture}-unknown-linux-gnu")
    }

    fn flags(&self) -> OsString {
        let mut flags = OsString::from(
            [
                "-Cforce-frame-pointers=yes",
                "-Ctarget-feature=+crt-static",
                "-Crelocation-model=static",
            ]
            .join(SEPARATOR),
        );
        // The last one that fits is taken: cargo's directory may be below the workspace.
        for (from, to) in [(&self.workspace, WORKSPACE), (&self.cargo_home, CARGO_HOME)] {
            flags.push(SEPARATOR);
            flags.push(remap(from, to));
        }
        flags
    }
}

fn remap(from: &Path, to: &str) -> OsString {
    let mut flag = OsString::from("--remap-path-prefix=");
    flag.push(from);
    flag.push("=");
    flag.push(to);
    flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_invocation_names_no_directory_but_to_take_it_out() {
        let build = StaticBuild {
            workspace: "/home/me/the lab".into(),
            cargo_home: "/home/me/.cargo".into(),
            target_directory: "/home/me/the lab/target/images".into(),
            platform: Platform::linux("arm64"),
        };
        let command = build.command(OsStr::new("cargo"), &["producer", "consumer"]);
        let arguments: Vec<_> = command.get_args().filter_map(OsStr::to_str).collect();
        assert_eq!(
            arguments.join(" "),
            "build --release --locked --target aarch64-unknown-linux-gnu --package producer --package consumer \
             --target-dir /home/me/the lab/target/images"
        );
        let (_, flags) = command.get_envs().next().unwrap();
        let flags = flags.unwrap().to_str().unwrap();
        assert_eq!(
            flags.split(SEPARATOR).collect::<Vec<_>>(),
            [
                "-Cforce-frame-pointers=yes",
                "-Ctarget-feature=+crt-static",
                "-Crelocation-model=static",
                "--remap-path-prefix=/home/me/the lab=/lab",
                "--remap-path-prefix=/home/me/.cargo=/cargo",
            ]
        );
        assert_eq!(
            build.program("producer"),
            Path::new("/home/me/the lab/target/images/aarch64-unknown-linux-gnu/release/producer")
        );
    }
}
