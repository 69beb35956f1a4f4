//! The flake evaluates for every system and its outputs fit together, without a network: against the stand-in of nixpkgs in
//! `nix/stub`, in a store that goes with the test. What nixpkgs makes of the flake, only nixpkgs shows.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use lab_tests::require;
use tempfile::TempDir;

/// What a build may neither ask nor assume. Nothing is fetched, and a container may have no namespaces to build in.
const CONFIGURATION: &str = "\
extra-experimental-features = nix-command flakes
flake-registry =
substituters =
build-users-group =
sandbox = false
max-jobs = 8
";

/// Of the repository, what is no part of the flake.
const NOT_COPIED: [&str; 4] = [".direnv", ".git", ".lab", "target"];

#[test]
fn the_flake_evaluates_everywhere_and_its_outputs_fit_together() {
    let Some(flake) = Flake::of("the_flake_evaluates_everywhere_and_its_outputs_fit_together")
    else {
        return;
    };
    let lock = flake.read("flake.lock");

    holds(&flake.evaluate());
    holds(&flake.nix(&["flake", "check"], &[]));
    holds(&flake.nix(&["develop"], &["--command", "kind"]));
    let unsound = flake.nix(&["develop"], &["--command", "minio"]);
    assert!(!unsound.status.success(), "the default shell has MinIO");
    holds(&flake.nix_of("#full", &["develop"], &["--command", "promtail"]));

    assert_eq!(flake.read("flake.lock"), lock, "flake.lock was rewritten");
}

/// A change that breaks the flake, and what is said of it.
struct Break {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    said: &'static str,
}

#[test]
fn what_is_wrong_with_the_flake_is_refused_by_name() {
    let breaks = [
        // A package that nixpkgs does not have.
        Break {
            file: "nix/tools.nix",
            from: "kustomize",
            to: "kustomise",
            said: "kustomise",
        },
        // A function of nixpkgs that does not exist, deep in an output.
        Break {
            file: "nix/lab.nix",
            from: "lib.makeBinPath",
            to: "lib.makeBinaryPath",
            said: "makeBinaryPath",
        },
        // Outputs by callPackage, which adds one that is no derivation.
        Break {
            file: "flake.nix",
            from: "function (builtins.intersectAttrs (lib.functionArgs function) (pkgs // parts))",
            to: "pkgs.callPackage function (builtins.intersectAttrs (lib.functionArgs function) parts)",
            said: "override",
        },
        // A source that was moved.
        Break {
            file: "nix/source.nix",
            from: "../xtask",
            to: "../xtasks",
            said: "xtasks",
        },
        // Another version than the table says, on either side, and a difference without a reason.
        Break {
            file: "nix/versions.json",
            from: r#""pin": "0.31""#,
            to: r#""pin": "0.30""#,
            said: "kind is 0.31.0 in nixpkgs, and not 0.30 as the table says",
        },
        Break {
            file: "nix/versions.json",
            from: r#""lab": "3.6.10""#,
            to: r#""lab": "3.6.11""#,
            said: "manifests/promtail/daemonset.yaml does not name promtail 3.6.11",
        },
        Break {
            file: "nix/versions.json",
            from: r#""skew": "kind 0.31 makes"#,
            to: r#""note": "kind 0.31 makes"#,
            said: "and no reason is given",
        },
        // An insecure package without its exception.
        Break {
            file: "nix/ended.nix",
            from: "minio-${",
            to: "mini-${",
            said: "is marked as insecure",
        },
        // A check that bash cannot read.
        Break {
            file: "nix/checks/host-lab.nix",
            from: "lab down --purge",
            to: "lab down --purge (",
            said: "syntax error",
        },
    ];
    let Some(flake) = Flake::of("what_is_wrong_with_the_flake_is_refused_by_name") else {
        return;
    };
    for Break {
        file,
        from,
        to,
        said,
    } in breaks
    {
        let whole = flake.read(file);
        assert!(whole.contains(from), "{file} has no {from}");
        flake.write(file, &whole.replace(from, to));
        let output = flake.nix(&["flake", "check"], &[]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{file} with {to} is accepted");
        assert!(stderr.contains(said), "{said} is not in:\n{stderr}");
        flake.write(file, &whole);
    }
}

/// A copy of the repository's flake, with a home and a store of its own.
struct Flake {
    nix: PathBuf,
    directory: TempDir,
}

impl Flake {
    /// A copy for the test `test`; `None`, with the test skipped by name, without Nix.
    fn of(test: &str) -> Option<Self> {
        let nix = require::program(test, "nix")?;
        let directory = tempfile::tempdir().unwrap();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        copy(repository, &directory.path().join("flake"));
        fs::create_dir(directory.path().join("tmp")).unwrap();
        Some(Self { nix, directory })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path("flake").join(file)).unwrap()
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.path("flake").join(file), text).unwrap();
    }

    /// Evaluates the outputs of every system.
    fn evaluate(&self) -> Output {
        let output = self.nix(&["flake", "check", "--no-build"], &["--all-systems"]);
        // Nix before 2.14 has no such flag and always does it.
        if String::from_utf8_lossy(&output.stderr).contains("unrecognised flag") {
            return self.nix(&["flake", "check", "--no-build"], &[]);
        }
        output
    }

    /// Runs a command of Nix on the flake with the stand-in in place of nixpkgs.
    fn nix(&self, command: &[&str], arguments: &[&str]) -> Output {
        self.nix_of("", command, arguments)
    }

    /// [`Flake::nix`] of one output: `#name`.
    fn nix_of(&self, output: &str, command: &[&str], arguments: &[&str]) -> Output {
        let flake = format!("path:{}{output}", self.path("flake").display());
        let stub = format!("path:{}", self.path("flake/nix/stub").display());
        Command::new(&self.nix)
            .args(command)
            .arg(flake)
            .args(["--override-input", "nixpkgs", &stub, "--no-write-lock-file"])
            .args(arguments)
            .env("NIX_CONFIG", CONFIGURATION)
            .env("NIX_STORE_DIR", self.path("store"))
            .env("NIX_STATE_DIR", self.path("state"))
            .env("NIX_LOG_DIR", self.path("log"))
            .env("NIX_CONF_DIR", self.path("etc"))
            .env("HOME", self.path("home"))
            // `nix develop` leaves files behind.
            .env("TMPDIR", self.path("tmp"))
            .env("XDG_CACHE_HOME", self.path("home/cache"))
            .env("XDG_CONFIG_HOME", self.path("home/config"))
            .env("XDG_DATA_HOME", self.path("home/data"))
            .env("XDG_STATE_HOME", self.path("home/state"))
            .env_remove("NIX_REMOTE")
            .env_remove("NIX_USER_CONF_FILES")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

impl Drop for Flake {
    /// A store is read-only, so that an ordinary user could not remove it.
    fn drop(&mut self) {
        make_writable(&self.path("store"));
    }
}

#[track_caller]
fn holds(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Links are left out: `result` leads to a store.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (name, kind) = (entry.file_name(), entry.file_type().unwrap());
        if kind.is_dir() && NOT_COPIED.iter().all(|left_out| name != *left_out) {
            copy(&entry.path(), &to.join(name));
        } else if kind.is_file() {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

fn make_writable(directory: &Path) {
    let is_directory = directory.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    if !is_directory {
        return;
    }
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        make_writable(&entry.path());
    }
}
