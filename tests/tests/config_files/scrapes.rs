//! Prometheus' jobs and probes: one for each component of the blueprint, with the labels that everything else relies on.

use std::collections::BTreeSet;

use blueprint::Component;
use lab_tests::config::{keys, list, string, text, yaml};
use serde_yaml::Value;

/// The job of the probes from outside.
const SERVICES: &str = "services";

/// The one service that is probed and is no component.
const API_SERVER: &str = "kubernetes";

fn jobs() -> Vec<Value> {
    list(&yaml("prometheus/prometheus.yml")["scrape_configs"]).to_vec()
}

fn probes() -> Vec<Value> {
    let job = jobs()
        .into_iter()
        .find(|job| string(job, "job_name") == SERVICES)
        .expect("the job of the probes");
    list(&job["static_configs"]).to_vec()
}

#[test]
fn every_component_has_the_job_of_its_name() {
    let jobs: BTreeSet<String> = jobs()
        .iter()
        .map(|job| string(job, "job_name").to_owned())
        .filter(|name| name != SERVICES)
        .collect();
    let components = Component::ALL.map(|component| component.name().to_owned());
    assert_eq!(jobs, BTreeSet::from(components));
}

#[test]
fn every_job_looks_only_into_its_components_namespace() {
    for job in jobs() {
        let name = string(&job, "job_name");
        let Ok(component) = name.parse::<Component>() else {
            continue;
        };
        for discovery in list(&job["kubernetes_sd_configs"]) {
            let namespaces = list(&discovery["namespaces"]["names"]);
            assert_eq!(namespaces, [Value::from(component.namespace())], "{name}");
        }
        assert!(!list(&job["kubernetes_sd_configs"]).is_empty(), "{name}");
    }
}

#[test]
fn every_target_gets_the_labels_of_its_pod() {
    for job in jobs() {
        let name = string(&job, "job_name");
        let labels: BTreeSet<&str> = list(&job["relabel_configs"])
            .iter()
            .filter_map(|rule| rule["target_label"].as_str())
            .collect();
        let expected: &[&str] = match name {
            SERVICES => &["instance"],
            "producer" | "consumer" => &["namespace", "pod", "container", "service_name"],
            _ => &["namespace", "pod", "container"],
        };
        for label in expected {
            assert!(labels.contains(label), "{name} lacks {label}: {labels:?}");
        }
    }
}

#[test]
fn the_ports_that_are_scraped_are_named_as_in_the_blueprint() {
    let jobs = jobs();
    let kept = jobs
        .iter()
        .flat_map(|job| list(&job["relabel_configs"]))
        .find(|rule| {
            rule["source_labels"][0].as_str() == Some("__meta_kubernetes_pod_container_port_name")
        })
        .expect("the rule that keeps ports");
    let kept: BTreeSet<&str> = string(kept, "regex").split('|').collect();
    for component in Component::ALL {
        let scraped: Vec<&str> = component
            .ports()
            .iter()
            .map(|port| port.name)
            .filter(|name| kept.contains(name))
            .collect();
        assert_eq!(scraped.len(), 1, "{component}: {scraped:?}");
    }
}

#[test]
fn every_component_is_probed_at_its_own_address_by_a_module_that_exists() {
    let modules = keys(&yaml("blackbox/blackbox.yml")["modules"]);
    let mut probed = BTreeSet::new();
    for probe in probes() {
        let labels = &probe["labels"];
        assert_eq!(
            keys(labels),
            BTreeSet::from(["module".to_owned(), "service".to_owned()]),
            "{probe:?}"
        );
        let (service, module) = (string(labels, "service"), string(labels, "module"));
        assert!(modules.contains(module), "no module `{module}`");
        let targets = list(&probe["targets"]);
        assert_eq!(targets.len(), 1, "{service}");
        let target = targets[0].as_str().expect("an address");
        if let Ok(component) = service.parse::<Component>() {
            assert!(target.contains(&component.service_host()), "{target}");
            probed.insert(component);
        } else {
            assert_eq!(service, API_SERVER);
        }
    }
    assert_eq!(probed, BTreeSet::from(Component::ALL));
}

#[test]
fn the_broker_serves_one_series_per_queue_where_it_is_scraped() {
    let jobs = jobs();
    let job = jobs
        .iter()
        .find(|job| string(job, "job_name") == Component::Rabbitmq.name())
        .expect("the broker's job");
    let setting = "prometheus.return_per_object_metrics = true";
    assert!(
        string(job, "metrics_path").ends_with("/per-object")
            || text("rabbitmq/rabbitmq.conf").contains(setting),
        "the alerts name queues; set `{setting}` or scrape /metrics/per-object"
    );
}
