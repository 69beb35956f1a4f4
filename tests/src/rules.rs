//! The rules under `manifests/prometheus/rules/`.

use std::collections::BTreeMap;

use serde_yaml::Value;

use crate::config::{files, list, yaml};

/// The rules of each file.
///
/// # Panics
/// When a file cannot be read.
pub fn by_file() -> BTreeMap<String, Vec<Value>> {
    files("prometheus/rules")
        .into_iter()
        .map(|file| {
            let rules = list(&yaml(&file)["groups"])
                .iter()
                .flat_map(|group| list(&group["rules"]))
                .cloned()
                .collect();
            (file, rules)
        })
        .collect()
}

/// All rules.
///
/// # Panics
/// When a file cannot be read.
pub fn all() -> impl Iterator<Item = Value> {
    by_file().into_values().flatten()
}

/// The rules that are alerts.
///
/// # Panics
/// When a file cannot be read.
pub fn alerts() -> Vec<Value> {
    all().filter(|rule| rule["alert"].is_string()).collect()
}
