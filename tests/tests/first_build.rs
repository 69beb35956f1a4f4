//! `bootstrap` builds the workload alone, `test` builds it with the workspace: what both need is built once.

use std::{collections::BTreeSet, process::Command};

#[test]
fn the_workload_has_the_same_dependencies_alone_and_in_the_workspace() {
    let alone = dependencies(&["--package", "producer", "--package", "consumer"]);
    // As `cargo xtask test` builds the programs; the end-to-end tests are built by themselves, with what speaks TLS and
    // what has property tests.
    let all = dependencies(&[
        "--workspace",
        "--exclude",
        "lab-tests",
        "--exclude",
        "oci",
        "--exclude",
        "cluster",
        "--exclude",
        "bench",
    ]);
    let twice: Vec<_> = alone.difference(&all).collect();
    assert!(
        twice.is_empty(),
        "built twice, with other features: {twice:?}; `cargo tree --workspace --edges features --invert NAME` tells who \
         asks for them"
    );
}

/// Every dependency with its features, one a line.
fn dependencies(selection: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--edges", "normal,build,dev", "--prefix", "none"])
        .args(["--no-dedupe", "--format", "{p} {f}"])
        .args(selection)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}
