//! The configuration files under `manifests/`, as the tests read them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde::Deserialize as _;
use serde_yaml::Value;

/// The directory `manifests/` of this repository.
pub fn manifests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests")
}

/// Copies the manifests to a directory, with every image at another registry than its own. Upstream's installation of Argo
/// CD is not copied.
///
/// # Panics
/// When a file cannot be read or written.
pub fn copy_with_images_at(registry: &str, to: &Path) {
    for file in files("") {
        if file == "argocd/install.yaml" {
            continue;
        }
        let mut text = text(&file);
        for upstream in ["docker.io", "public.ecr.aws", "quay.io", "registry.k8s.io"] {
            for key in ["image", "name"] {
                let there = format!("{key}: {upstream}/");
                text = text.replace(&there, &format!("{key}: {registry}/"));
            }
        }
        let to = to.join(&file);
        let directory = to.parent().expect("a directory");
        fs::create_dir_all(directory).expect("a writable directory");
        fs::write(to, text).expect("a writable directory");
    }
}

/// A file under `manifests/`, as text.
///
/// # Panics
/// When it cannot be read.
pub fn text(file: &str) -> String {
    read(&manifests().join(file))
}

/// A file under `manifests/`, as one YAML document (JSON is one too) with its merge keys applied.
///
/// # Panics
/// When it cannot be read or is not YAML.
pub fn yaml(file: &str) -> Value {
    let mut value: Value =
        serde_yaml::from_str(&text(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    value
        .apply_merge()
        .unwrap_or_else(|error| panic!("{file}: {error}"));
    value
}

/// The documents of a YAML stream.
///
/// # Errors
/// What the parser says of the first document that it cannot read.
pub fn documents(text: &str) -> Result<Vec<Value>, serde_yaml::Error> {
    serde_yaml::Deserializer::from_str(text)
        .map(Value::deserialize)
        .collect()
}

/// The items of a list; of anything else, none.
pub fn list(value: &Value) -> &[Value] {
    value.as_sequence().map_or(&[], Vec::as_slice)
}

/// A text at `key`.
///
/// # Panics
/// When there is none.
pub fn string<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no text `{key}` in {value:?}"))
}

/// The keys of a mapping; of anything else, none.
pub fn keys(value: &Value) -> BTreeSet<String> {
    value
        .as_mapping()
        .into_iter()
        .flat_map(|mapping| mapping.keys())
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// Every file below a directory of `manifests/` in the order of their names, with its path relative to `manifests/`.
///
/// # Panics
/// When a directory cannot be read.
pub fn files(directory: &str) -> Vec<String> {
    let root = manifests();
    let mut found = Vec::new();
    let mut pending = vec![root.join(directory)];
    while let Some(directory) = pending.pop() {
        let entries = fs::read_dir(&directory)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", directory.display()));
        for entry in entries {
            let path = entry.expect("a directory entry").path();
            if path.is_dir() {
                pending.push(path);
            } else if let Ok(relative) = path.strip_prefix(&root) {
                found.push(relative.display().to_string());
            }
        }
    }
    found.sort_unstable();
    found
}

/// Runs a program to its end.
///
/// # Panics
/// When it cannot be started.
pub fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Runs a program that is expected to find nothing wrong.
///
/// # Panics
/// When it does, with all that it printed.
pub fn accept(command: &mut Command) -> Output {
    let output = run(command);
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}",
        output.status,
        printed(&output)
    );
    output
}

/// What a program printed, standard output first.
pub fn printed(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn read(path: &Path) -> String {
    fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}
