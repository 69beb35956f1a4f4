//! The LogQL of the dashboards, read by a real Loki.

use std::{fs, path::Path};

use lab_tests::{
    dashboards::{filled, queries},
    program::{free_ports, page, start},
    require::program,
};
use serde_json::Value;
use tempfile::TempDir;

/// A Loki that stores nothing but what it needs to start.
fn config(directory: &Path, http: u16, grpc: u16) -> String {
    let directory = directory.display();
    format!(
        "
auth_enabled: false
analytics: {{reporting_enabled: false}}
server:
  http_listen_address: 127.0.0.1
  http_listen_port: {http}
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: {grpc}
common:
  path_prefix: {directory}
  replication_factor: 1
  instance_addr: 127.0.0.1
  ring: {{kvstore: {{store: inmemory}}}}
  storage:
    filesystem: {{chunks_directory: {directory}/chunks, rules_directory: {directory}/rules}}
schema_config:
  configs:
    - {{from: 2025-01-01, store: tsdb, object_store: filesystem, schema: v13, index: {{prefix: index_, period: 24h}}}}
"
    )
}

#[tokio::test]
async fn loki_understands_every_query_of_the_dashboards() {
    let test = "loki_understands_every_query_of_the_dashboards";
    let Some(loki) = program(test, "loki") else {
        return;
    };
    let directory = TempDir::new().expect("a temporary directory");
    let [http, grpc] = free_ports();
    let file = directory.path().join("loki.yaml");
    fs::write(&file, config(directory.path(), http, grpc)).expect("a file");
    let _loki = start(&loki, &[format!("-config.file={}", file.display())]);
    page(&format!(
        "http://127.0.0.1:{http}/loki/api/v1/status/buildinfo"
    ))
    .await;

    let client = lab_tests::http::client();
    let mut understood = 0;
    for query in queries().iter().filter(|query| query.source == "loki") {
        let answer: Value = client
            .get(format!("http://127.0.0.1:{http}/loki/api/v1/format_query"))
            .query(&[("query", filled(&query.text))])
            .send()
            .await
            .expect("an answer")
            .json()
            .await
            .expect("JSON");
        assert_eq!(answer["status"], "success", "{}: {answer}", query.place);
        understood += 1;
    }
    assert!(understood > 15, "only {understood} queries were found");
}

/// The labels of the lab's log streams; everything else is found by a filter behind the selector.
const LABELS: [&str; 4] = ["namespace", "pod", "container", "level"];

#[test]
fn streams_are_selected_by_the_labels_that_promtail_gives() {
    for query in queries().iter().filter(|query| query.source == "loki") {
        // A selector is the brace that is no part of a template.
        for selector in query.text.replace("{{", "").split('{').skip(1) {
            let selector = selector.split('}').next().unwrap_or_default();
            for matcher in selector.split(", ") {
                let label = matcher.split(['=', '!']).next().unwrap_or_default();
                assert!(LABELS.contains(&label), "{}: `{label}`", query.place);
            }
        }
    }
}
