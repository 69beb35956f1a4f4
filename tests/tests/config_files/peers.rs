//! Components named in configuration: by their service and the port of the blueprint, and by nothing else.

use std::collections::BTreeSet;

use blueprint::Component;
use lab_tests::config::{documents, files, list, string, text, yaml};

/// The directories of configuration that names peers, below `manifests/`.
const DIRECTORIES: [&str; 9] = [
    "alertmanager",
    "blackbox",
    "grafana",
    "loki",
    "minio",
    "prometheus",
    "promtail",
    "pyroscope",
    "rabbitmq",
];

/// The API server's name; no component of the lab, and probed all the same.
const API_SERVER: &str = "kubernetes.default.svc";

fn configuration() -> Vec<String> {
    DIRECTORIES.iter().flat_map(|name| files(name)).collect()
}

#[test]
fn every_yaml_and_json_file_can_be_read() {
    for file in configuration() {
        let text = text(&file);
        if file.ends_with(".json") {
            serde_json::from_str::<serde_json::Value>(&text)
                .unwrap_or_else(|error| panic!("{file}: {error}"));
        } else if file.ends_with(".yaml") || file.ends_with(".yml") {
            documents(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
    }
}

#[test]
fn peers_are_named_by_their_service_and_the_blueprints_port() {
    let known: BTreeSet<String> = Component::ALL
        .iter()
        .flat_map(|component| {
            let ports = component.ports().iter();
            ports.map(|port| format!("{}:{}", component.service_host(), port.number))
        })
        .collect();
    let mut seen = 0;
    for file in configuration() {
        for address in services(&text(&file)) {
            assert!(
                known.contains(&address) || address == API_SERVER,
                "{file} names `{address}`, which is no service and port of crates/blueprint"
            );
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} addresses were found");
}

/// Every `<name>.<namespace>.svc`, with its port where one follows.
fn services(text: &str) -> Vec<String> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    text.match_indices(".svc")
        .map(|(at, marker)| {
            let host = text[..at]
                .rsplit(|c| !in_name(c))
                .next()
                .unwrap_or_default();
            let rest = &text[at + marker.len()..];
            let end = match rest.strip_prefix(':') {
                Some(port) => 1 + port.bytes().take_while(u8::is_ascii_digit).count(),
                None => rest.find(|c| !in_name(c)).unwrap_or(rest.len()),
            };
            format!("{host}{marker}{}", &rest[..end])
        })
        .collect()
}

#[test]
fn services_are_found_in_urls_and_lists() {
    assert_eq!(
        services(
            r#"["http://loki.loki.svc:3100/ready", minio.minio.svc:9000] kubernetes.default.svc/readyz"#
        ),
        [
            "loki.loki.svc:3100",
            "minio.minio.svc:9000",
            "kubernetes.default.svc"
        ]
    );
    assert_eq!(
        services("a.b.svc.cluster.local:1"),
        ["a.b.svc.cluster.local"]
    );
}

#[test]
fn loki_keeps_to_the_buckets_that_are_made_and_that_its_user_may_touch() {
    let made: BTreeSet<String> = text("minio/buckets.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();

    let loki = yaml("loki/loki.yaml");
    let store = &loki["storage_config"]["object_store"];
    let admin = string(&loki["compactor"], "delete_request_store");
    let used: BTreeSet<String> = [
        &store["s3"],
        &store["named_stores"]["s3"][admin],
        &loki["ruler_storage"]["s3"],
    ]
    .map(|store| string(store, "bucket_name").to_owned())
    .into();
    assert_eq!(used, made);

    let policy = yaml("minio/loki-policy.json");
    for statement in list(&policy["Statement"]) {
        let allowed: BTreeSet<String> = list(&statement["Resource"])
            .iter()
            .filter_map(|resource| resource.as_str()?.strip_prefix("arn:aws:s3:::"))
            .map(|resource| resource.trim_end_matches("/*").to_owned())
            .collect();
        assert_eq!(allowed, made, "{statement:?}");
        assert!(!list(&statement["Action"]).contains(&"s3:*".into()));
    }
}

#[test]
fn alerts_go_to_the_consumer_and_watchdog_goes_again_and_again() {
    let config = yaml("alertmanager/alertmanager.yml");
    let consumer = format!("http://{}:9464/alerts", Component::Consumer.service_host());
    let receivers = list(&config["receivers"]);
    assert_eq!(receivers.len(), 1);
    assert_eq!(string(&receivers[0]["webhook_configs"][0], "url"), consumer);

    let watchdog = list(&config["route"]["routes"])
        .iter()
        .find(|route| route["matchers"][0].as_str() == Some(r#"alertname="Watchdog""#))
        .expect("a route for Watchdog");
    // What verification waits for: the first delivery at once, then a fresh one every few seconds.
    assert_eq!(string(watchdog, "group_wait"), "0s");
    for interval in ["group_interval", "repeat_interval"] {
        let seconds: u32 = string(watchdog, interval)
            .trim_end_matches('s')
            .parse()
            .expect("seconds");
        assert!(seconds <= 10, "{interval} is {seconds} s");
    }
}
