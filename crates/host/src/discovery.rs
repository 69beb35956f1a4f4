//! Kubernetes discovery replaced by files: the same jobs and labels, with the targets that this machine has.

use std::collections::BTreeMap;

use blueprint::Component;
use serde::{Deserialize, Serialize};
use serde_yaml::{Mapping, Value};

/// One entry of a `file_sd` file of Prometheus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TargetGroup {
    pub(crate) targets: Vec<String>,
    pub(crate) labels: BTreeMap<String, String>,
}

/// The labels that discovery gives to everything of a component's only pod.
pub(crate) fn pod_labels(component: Component, container: &str) -> BTreeMap<String, String> {
    [
        ("namespace", component.namespace().to_owned()),
        ("pod", format!("{component}-0")),
        ("container", container.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// Removes `kubernetes_sd_configs` from a scrape job together with the relabelling that reads its labels; returns
/// whether the job had any.
pub(crate) fn remove_kubernetes(job: &mut Mapping) -> bool {
    let discovered = job.remove("kubernetes_sd_configs").is_some();
    if let Some(Value::Sequence(rules)) = job.get_mut("relabel_configs") {
        rules.retain(|rule| !reads_kubernetes_labels(rule));
        if rules.is_empty() {
            job.remove("relabel_configs");
        }
    }
    discovered
}

fn reads_kubernetes_labels(rule: &Value) -> bool {
    let names = |key: &str| match &rule[key] {
        Value::Sequence(names) => names
            .iter()
            .filter_map(Value::as_str)
            .any(|name| name.starts_with("__meta_kubernetes_")),
        Value::String(text) => text.contains("__meta_kubernetes_"),
        _ => false,
    };
    names("source_labels") || names("regex")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_rules_of_kubernetes_discovery_go() {
        let mut job: Mapping = serde_yaml::from_str(
            "
job_name: loki
kubernetes_sd_configs: [{role: pod}]
relabel_configs:
  - source_labels: [__meta_kubernetes_namespace]
    target_label: namespace
  - regex: __meta_kubernetes_pod_label_(.+)
    action: labelmap
  - source_labels: [__address__]
    target_label: instance
",
        )
        .unwrap();
        assert!(remove_kubernetes(&mut job));
        let rules = job["relabel_configs"].as_sequence().unwrap();
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0]["target_label"], Value::from("instance"));
        assert!(!remove_kubernetes(&mut job));
    }
}
