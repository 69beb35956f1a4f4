//! The whole lab fits a laptop of 4 processors and 8 GiB, and each container says when it has started, is ready and lives.

use lab_tests::kustomize::{Object, items, lab, text};
use serde_json::Value;

/// What is left of 4000 thousandths of a processor beside Kubernetes' own.
const CPU_MILLIS: u64 = 2500;

/// What the scheduler sets aside, of 8 GiB, beside Kubernetes' own pods and the node's system.
const REQUESTED_MIB: u64 = 3 * 1024;

/// Beyond their requests containers share what is free; together they may not be allowed more than there is.
const LIMIT_MIB: u64 = 8 * 1024;

#[test]
fn the_lab_fits_a_laptop() {
    let Some(objects) = lab("the_lab_fits_a_laptop") else {
        return;
    };
    let (mut cpu, mut requested, mut limit) = (0, 0, 0);
    for pods in objects.iter().filter_map(Object::pod_template) {
        // What runs first is gone when the others run; a Job ends.
        if pods.owner.kind() == "Job" {
            continue;
        }
        let replicas = pods.owner.value["spec"]["replicas"].as_u64().unwrap_or(1);
        for container in pods.containers() {
            let resources = &container["resources"];
            let missing = || panic!("{}: {resources}", pods.owner.id());
            let memory = |list: &str| mebibytes(&resources[list]["memory"]).unwrap_or_else(missing);
            cpu += replicas * millis(&resources["requests"]["cpu"]).unwrap_or_else(missing);
            requested += replicas * memory("requests");
            limit += replicas * memory("limits");
        }
    }
    assert!(cpu <= CPU_MILLIS, "{cpu}m of processors are requested");
    assert!(requested <= REQUESTED_MIB, "{requested} MiB are requested");
    assert!(limit <= LIMIT_MIB, "{limit} MiB may be used");
}

#[test]
fn every_container_is_probed_for_start_readiness_and_life() {
    let Some(objects) = lab("every_container_is_probed_for_start_readiness_and_life") else {
        return;
    };
    for pods in objects.iter().filter_map(Object::pod_template) {
        if pods.owner.kind() == "Job" || pods.owner.directory == "argocd" {
            continue;
        }
        for container in pods.containers() {
            let id = format!("{}/{}", pods.owner.id(), text(&container["name"]));
            for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                assert!(container[probe].is_object(), "{id} has no {probe}");
            }
        }
    }
}

#[test]
fn labels_say_what_an_object_is() {
    let Some(objects) = lab("labels_say_what_an_object_is") else {
        return;
    };
    for object in objects {
        // Upstream labels its own.
        if object.directory == "argocd" {
            continue;
        }
        for label in ["name", "component", "part-of"] {
            let label = format!("app.kubernetes.io/{label}");
            assert!(
                object.label(&label).is_some(),
                "{} has no {label}",
                object.id()
            );
            if let Some(pods) = object.pod_template() {
                assert!(
                    pods.label(&label).is_some(),
                    "pods of {} have no {label}",
                    object.id()
                );
            }
        }
        if let Some(pods) = object.pod_template() {
            let version = "app.kubernetes.io/version";
            let is_own = pods
                .containers()
                .iter()
                .all(|c| text(&c["image"]).starts_with("lab/"));
            assert!(
                pods.label(version).is_some() || is_own,
                "{} has no version",
                object.id()
            );
            assert!(
                items(&pods.spec()["containers"]).len() == 1,
                "{}",
                object.id()
            );
        }
    }
}

/// A quantity of processors, in thousandths.
fn millis(quantity: &Value) -> Option<u64> {
    let text = quantity.as_str()?;
    match text.strip_suffix('m') {
        Some(millis) => millis.parse().ok(),
        None => text.parse::<u64>().ok().map(|whole| whole * 1000),
    }
}

/// A quantity of memory in Mi or Gi.
fn mebibytes(quantity: &Value) -> Option<u64> {
    let text = quantity.as_str()?;
    match text.strip_suffix("Gi") {
        Some(gibibytes) => gibibytes.parse::<u64>().ok().map(|whole| whole * 1024),
        None => text.strip_suffix("Mi")?.parse().ok(),
    }
}

#[test]
fn quantities_are_read_as_kubernetes_reads_them() {
    assert_eq!(millis(&"250m".into()), Some(250));
    assert_eq!(millis(&"2".into()), Some(2000));
    assert_eq!(mebibytes(&"512Mi".into()), Some(512));
    assert_eq!(mebibytes(&"1Gi".into()), Some(1024));
    assert_eq!(mebibytes(&"100M".into()), None);
}
