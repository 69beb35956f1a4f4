//! Labels of log streams: few, and none that would make a stream of every message.

use std::collections::BTreeSet;

use lab_tests::config::{keys, list, yaml};

#[test]
fn log_streams_have_four_labels_and_ids_are_none_of_them() {
    let config = yaml("promtail/promtail.yaml");
    let mut labels = BTreeSet::new();
    let mut metadata = BTreeSet::new();
    for job in list(&config["scrape_configs"]) {
        for rule in list(&job["relabel_configs"]) {
            let target = rule["target_label"].as_str().expect("a label");
            if !target.starts_with("__") {
                labels.insert(target.to_owned());
            }
        }
        for stage in list(&job["pipeline_stages"]) {
            labels.extend(keys(&stage["labels"]));
            metadata.extend(keys(&stage["structured_metadata"]));
        }
    }
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let expected: BTreeSet<String> = names(&["namespace", "pod", "container", "level"]);
    assert_eq!(labels, expected);
    let expected: BTreeSet<String> = names(&["trace_id", "message_id"]);
    assert_eq!(metadata, expected);
}

#[test]
fn each_agent_asks_for_the_pods_of_its_own_node() {
    // Promtail selects them itself, by the host name that it finds in its environment: in a pod, the pod's.
    let daemon_set = yaml("promtail/daemonset.yaml");
    let container = &list(&daemon_set["spec"]["template"]["spec"]["containers"])[0];
    let host_name = list(&container["env"])
        .iter()
        .find(|variable| variable["name"].as_str() == Some("HOSTNAME"))
        .expect("HOSTNAME in the environment of promtail");
    assert_eq!(
        host_name["valueFrom"]["fieldRef"]["fieldPath"].as_str(),
        Some("spec.nodeName")
    );
    // A selector of ours would have to hold as well.
    for job in list(&yaml("promtail/promtail.yaml")["scrape_configs"]) {
        for discovery in list(&job["kubernetes_sd_configs"]) {
            assert!(discovery["selectors"].is_null(), "{discovery:?}");
        }
    }
}
