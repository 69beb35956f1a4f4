//! Programs that a test needs. Where one is missing the test is skipped by name, never silently: see [`program`].

use std::{
    env,
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

/// Directories that Debian keeps out of an ordinary user's `PATH` although they hold servers.
const SYSTEM_DIRECTORIES: [&str; 2] = ["/usr/local/sbin", "/usr/sbin"];

/// The path of the program `name`. Without it the test `test` prints its name with the reason, adds the line
/// `<test>: <reason>` to the file of `LAB_SKIP_LOG`, gets `None` and is expected to return.
///
/// # Panics
/// With `LAB_REQUIRE=all`, where a missing program is a failure; and when the file of `LAB_SKIP_LOG` cannot be written,
/// because a skipped test that nobody counts would pass for a passed one.
pub fn program(test: &str, name: &str) -> Option<PathBuf> {
    any_program(test, &[name])
}

/// The path of the first of `names` that this machine has, for a program that distributions name differently; otherwise
/// as [`program`].
///
/// # Panics
/// As [`program`].
pub fn any_program(test: &str, names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = env::split_paths(&path)
        .chain(SYSTEM_DIRECTORIES.map(PathBuf::from))
        .collect();
    let found = names
        .iter()
        .flat_map(|name| {
            directories
                .iter()
                .map(move |directory| directory.join(name))
        })
        .find(|candidate| is_executable(candidate));
    if found.is_none() {
        skip(test, &format!("`{}` is not on PATH", names.join("` or `")));
    }
    found
}

/// The file that `test` needs and that is no part of the repository; otherwise as [`program`], with `reason` in place of
/// the program.
///
/// # Panics
/// As [`program`].
pub fn file(test: &str, path: &Path, reason: &str) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path.to_owned());
    }
    skip(test, reason);
    None
}

/// What `unshare` needs to run a command that may mount, for itself alone: its mounts go with it.
pub const MOUNTING: [&str; 3] = ["--user", "--map-root-user", "--mount"];

/// Whether a command of `test` may mount with [`MOUNTING`], which machines forbid in several ways; otherwise as
/// [`program`].
///
/// # Panics
/// As [`program`].
pub fn mounting(test: &str) -> Option<()> {
    let tried = Command::new("unshare")
        .args(MOUNTING)
        .args(["mount", "-t", "tmpfs", "try", "/tmp"])
        .output();
    if tried.is_ok_and(|tried| tried.status.success()) {
        return Some(());
    }
    skip(test, "nothing can be mounted in a namespace");
    None
}

#[expect(
    clippy::print_stdout,
    reason = "the line stands beside the test in the harness' output"
)]
fn skip(test: &str, reason: &str) {
    let all_required = env::var("LAB_REQUIRE").is_ok_and(|value| value == "all");
    assert!(!all_required, "{test}: {reason}, and LAB_REQUIRE=all");
    println!("skipped {test}: {reason}");
    if let Some(log) = env::var_os("LAB_SKIP_LOG") {
        // One write of one line: tests of several processes append at the same time.
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(&log)
            .and_then(|mut file| file.write_all(format!("{test}: {reason}\n").as_bytes()))
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", log.display()));
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
