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
