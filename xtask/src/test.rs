//! `test`: formatting, lints and every test, against real programs; skipped tests are named and counted.

mod go_tools;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use anstream::{eprintln, println};
use anyhow::Context as _;

use crate::{engine, install};
use terminal::{
    Setting, cli,
    failure::{Exit, Failure},
};

/// The packages that `bootstrap` builds alone. They are built and tested in a run of their own: the dependencies of the
/// end-to-end tests, the TLS of `oci` and `cluster`, and the property tests of `bench` would give theirs other features, and it
/// would build them again.
const PROGRAMS: &[&str] = &[
    "--workspace",
    "--exclude",
    "lab-tests",
    "--exclude",
    "oci",
    "--exclude",
    "cluster",
    "--exclude",
    "bench",
];

/// The others.
const END_TO_END: &[&str] = &[
    "--package",
    "lab-tests",
    "--package",
    "oci",
    "--package",
    "cluster",
    "--package",
    "bench",
];

/// Builds programs only, without a word.
const BINARIES: &[&str] = &["--bins", "--quiet"];

/// What the tests run against, beside what the lab itself runs.
const TEST_PACKAGES: [(&str, &str); 3] = [
    ("amtool", "prometheus-alertmanager"),
    ("docker-registry", "docker-registry"),
    // Programs alone: neither a daemon nor a store comes with it.
    ("nix", "nix-bin"),
];

/// What a run of `cargo test` counted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u32,
    failed: u32,
}

/// Runs the command. The last line is `N passed, N failed, N skipped`.
pub fn run(setting: &Setting, arguments: cli::Test) -> anyhow::Result<Exit> {
    if !setting.is_workspace {
        return Err(Failure::new(Exit::Missing, "tests need the lab's sources")
            .hint("clone the repository; its README says how to run them there")
            .into());
    }
    if arguments.install {
        install_missing(setting)?;
    }
    let skipped = tempfile()?;
    let steps = [
        ("formatting", vec!["fmt", "--all", "--check"]),
        (
            "lints",
            vec![
                "clippy",
                "--workspace",
                "--all-targets",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ],
        ),
        // The end-to-end tests run the programs that stand in the target directory.
        ("programs", [&["build"], PROGRAMS, BINARIES].concat()),
        (
            "cluster engine",
            [&["build"], END_TO_END, BINARIES].concat(),
        ),
    ];
    let mut counts = Counts::default();
    for (name, arguments) in steps {
        eprintln!("test: {name}");
        if cargo(setting, &arguments)
            .status()
            .context("cannot run cargo")?
            .success()
        {
            counts.passed += 1;
        } else {
            eprintln!("test: {name} FAILED: `cargo {}`", arguments.join(" "));
            counts.failed += 1;
        }
    }
    for selection in [PROGRAMS, END_TO_END] {
        eprintln!("test: cargo test {}", selection.join(" "));
        let tests = cargo_test(setting, selection, &skipped)?;
        counts.passed += tests.passed;
        counts.failed += tests.failed;
    }

    let skipped: Vec<String> = std::fs::read_to_string(&skipped)
        .with_context(|| format!("cannot read {}", skipped.display()))?
        .lines()
        .map(str::to_owned)
        .collect();
    for line in &skipped {
        println!("skipped {line}");
    }
    let number = u32::try_from(skipped.len()).unwrap_or(u32::MAX);
    // A skipped test returned early, which cargo counts as passed.
    let passed = counts.passed.saturating_sub(number);
    println!(
        "{passed} passed, {} failed, {number} skipped",
        counts.failed
    );
    Ok(if counts.failed == 0 {
        Exit::Holds
    } else {
        Exit::False
    })
}

fn install_missing(setting: &Setting) -> anyhow::Result<()> {
    let programs = engine::plan_input(setting).programs;
    let mut packages: Vec<&str> = programs
        .all_missing()
        .filter_map(|missing| missing.package)
        .collect();
    for (program, package) in TEST_PACKAGES {
        if !host::is_on_path(program) {
            packages.push(package);
        }
    }
    packages.sort_unstable();
    packages.dedup();
    install::packages(&packages)?;
    go_tools::install(&setting.root)
}

fn cargo(setting: &Setting, arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(&setting.root)
        .args(arguments)
        .stdin(Stdio::null());
    command
}

/// Runs the tests of these packages, goes on after failures, shows the output as it comes and counts the results.
fn cargo_test(
    setting: &Setting,
    selection: &[&str],
    skipped: &std::path::Path,
) -> anyhow::Result<Counts> {
    let mut child = cargo(setting, &["test", "--no-fail-fast", "--quiet"])
        .args(selection)
        .env("LAB_SKIP_LOG", skipped)
        .env("PATH", go_tools::path(&setting.root)?)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo test")?;
    let mut counts = Counts::default();
    if let Some(output) = child.stdout.take() {
        let mut out = std::io::stdout().lock();
        for line in BufReader::new(output).lines() {
            let line = line.context("cannot read the output of cargo test")?;
            writeln!(out, "{line}").context("cannot write to standard output")?;
            if let Some(result) = read_result(&line) {
                counts.passed += result.passed;
                counts.failed += result.failed;
            }
        }
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    if !status.success() && counts.failed == 0 {
        // A test binary that did not build or crashed has no result line.
        counts.failed = 1;
    }
    Ok(counts)
}

/// Reads `test result: ok. 3 passed; 0 failed; …`.
fn read_result(line: &str) -> Option<Counts> {
    let rest = line.strip_prefix("test result: ")?;
    let number = |word: &str| -> Option<u32> {
        let before = rest.split(word).next()?;
        before.split_whitespace().next_back()?.parse().ok()
    };
    Some(Counts {
        passed: number(" passed")?,
        failed: number(" failed")?,
    })
}

/// The file in which tests that lack a program write their names.
fn tempfile() -> anyhow::Result<std::path::PathBuf> {
    let path = std::env::temp_dir().join(format!("lab-skipped-{}", std::process::id()));
    std::fs::write(&path, "").with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_line_of_cargo_test_is_read() {
        let line =
            "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            read_result(line),
            Some(Counts {
                passed: 12,
                failed: 3
            })
        );
        assert_eq!(read_result("running 3 tests"), None);
    }
}
