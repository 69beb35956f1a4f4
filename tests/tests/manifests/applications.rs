//! The app-of-apps: every component has its Application, and one field of the root moves them all.

use std::{collections::BTreeMap, fs, process::Command};

use blueprint::{Component, WorkloadKind};
use lab_tests::{
    config::manifests,
    kustomize::{Object, build, items, lab, program, text},
};
use serde_json::json;

/// What stands in the manifests until bootstrap puts the source in its place.
const PLACEHOLDERS: [&str; 2] = ["oci://set-by-root.invalid/lab", "set-by-root"];

#[test]
fn every_component_has_its_application_namespace_workload_and_ports() {
    let Some(objects) = lab("every_component_has_its_application_namespace_workload_and_ports")
    else {
        return;
    };
    let applications: BTreeMap<&str, &Object> = objects
        .iter()
        .filter(|object| object.kind() == "Application" && object.directory == "apps")
        .map(|object| (object.name(), object))
        .collect();
    for component in Component::ALL {
        // Argo CD is applied by bootstrap and never by itself.
        if component == Component::Argocd {
            continue;
        }
        let application = applications
            .get(component.name())
            .unwrap_or_else(|| panic!("{component} has no Application"));
        let spec = &application.value["spec"];
        assert_eq!(
            spec["destination"]["namespace"],
            component.namespace(),
            "{component}"
        );
        assert_eq!(spec["source"]["path"], format!("manifests/{component}"));

        let kind = match component.kind() {
            WorkloadKind::Deployment => "Deployment",
            WorkloadKind::StatefulSet => "StatefulSet",
            WorkloadKind::DaemonSet => "DaemonSet",
            WorkloadKind::Upstream => unreachable!("only Argo CD"),
        };
        let find = |kind: &str| {
            objects
                .iter()
                .find(|object| {
                    (object.kind(), object.namespace(), object.name())
                        == (kind, component.namespace(), component.name())
                })
                .unwrap_or_else(|| panic!("{component} has no {kind}"))
        };
        find(kind);
        let ports: BTreeMap<&str, u64> = items(&find("Service").value["spec"]["ports"])
            .iter()
            .map(|port| (text(&port["name"]), port["port"].as_u64().unwrap()))
            .collect();
        for port in component.ports() {
            assert_eq!(
                ports.get(port.name),
                Some(&port.number.into()),
                "{component}/{}",
                port.name
            );
        }
    }
}

#[test]
fn applications_are_pinned_by_the_root_heal_themselves_and_have_a_wave() {
    let Some(kustomize) =
        program("applications_are_pinned_by_the_root_heal_themselves_and_have_a_wave")
    else {
        return;
    };
    let mut waves = BTreeMap::new();
    for application in build(&kustomize, "apps").unwrap() {
        let id = application.id();
        let wave = application.annotation("argocd.argoproj.io/sync-wave");
        let wave: i32 = wave
            .and_then(|wave| wave.parse().ok())
            .unwrap_or_else(|| panic!("{id}"));
        waves.insert(application.name().to_owned(), wave);
        if application.kind() != "Application" {
            continue;
        }
        let spec = &application.value["spec"];
        let path = text(&spec["source"]["path"]);
        let directory = manifests().join("..").join(path);
        assert!(
            directory.join("kustomization.yaml").is_file(),
            "{id} names {path}"
        );
        assert_eq!(spec["source"]["repoURL"], PLACEHOLDERS[0], "{id}");
        assert_eq!(spec["source"]["targetRevision"], PLACEHOLDERS[1], "{id}");
        assert_eq!(
            spec["syncPolicy"]["automated"],
            json!({ "prune": true, "selfHeal": true })
        );
        assert!(
            !items(&application.value["metadata"]["finalizers"]).is_empty(),
            "{id}"
        );
    }
    // Storage and broker, then back ends, then agents and dashboards, then the workload.
    for (before, after) in [
        ("lab", "namespaces"),
        ("namespaces", "minio"),
        ("minio", "loki"),
        ("rabbitmq", "prometheus"),
        ("loki", "promtail"),
        ("prometheus", "grafana"),
        ("pyroscope", "producer"),
        ("promtail", "consumer"),
    ] {
        assert!(
            waves[before] < waves[after],
            "{before} before {after}: {waves:?}"
        );
    }
}

/// What Argo CD does with the root's kustomize options, done by kustomize.
#[test]
fn the_root_patches_its_source_into_every_child() {
    let Some(kustomize) = program("the_root_patches_its_source_into_every_child") else {
        return;
    };
    let digest = format!("sha256:{}", "5".repeat(64));
    let source = ["oci://registry.test:5000/lab/manifests", digest.as_str()];
    let mut root = fs::read_to_string(manifests().join("root.yaml")).unwrap();
    for (placeholder, value) in PLACEHOLDERS.iter().zip(source) {
        assert!(root.contains(placeholder), "{placeholder}");
        root = root.replace(placeholder, value);
    }
    let root: serde_json::Value = serde_yaml::from_str(&root).unwrap();
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp")
        .arg("-r")
        .arg(manifests())
        .arg(copy.path())
        .status();
    assert!(copied.unwrap().success());
    let patched = copy.path().join("manifests/patched");
    fs::create_dir(&patched).unwrap();
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["../apps"],
        "patches": root["spec"]["source"]["kustomize"]["patches"],
    });
    fs::write(
        patched.join("kustomization.yaml"),
        kustomization.to_string(),
    )
    .unwrap();

    let children = build(&kustomize, patched.to_str().unwrap()).unwrap();
    for child in &children {
        let spec = &child.value["spec"];
        match child.kind() {
            "Application" => {
                assert_eq!(spec["source"]["repoURL"], source[0], "{}", child.id());
                assert_eq!(
                    spec["source"]["targetRevision"],
                    source[1],
                    "{}",
                    child.id()
                );
            }
            _ => assert_eq!(spec["sourceRepos"], json!([source[0]]), "{}", child.id()),
        }
    }
    assert!(children.len() > Component::ALL.len());
}

#[test]
fn the_project_allows_what_the_applications_apply() {
    let Some(objects) = lab("the_project_allows_what_the_applications_apply") else {
        return;
    };
    let project = objects
        .iter()
        .find(|object| object.kind() == "AppProject")
        .unwrap();
    let spec = &project.value["spec"];
    let group = |object: &Object| {
        object
            .api_version()
            .rsplit_once('/')
            .map_or(String::new(), |(group, _)| group.to_owned())
    };
    let mut used = vec![false; items(&spec["clusterResourceWhitelist"]).len()];
    for object in objects {
        if ["apps", "argocd"].contains(&object.directory.as_str()) {
            continue;
        }
        let allowed = if object.namespace().is_empty() {
            let entry = items(&spec["clusterResourceWhitelist"])
                .iter()
                .position(|entry| {
                    entry["kind"] == object.kind()
                        && entry["group"] == group(object)
                        && matches(text(&entry["name"]), object.name())
                });
            if let Some(entry) = entry {
                used[entry] = true;
            }
            entry.is_some()
        } else {
            let kind = items(&spec["namespaceResourceWhitelist"])
                .iter()
                .any(|entry| entry["kind"] == object.kind() && entry["group"] == group(object));
            let namespace = items(&spec["destinations"])
                .iter()
                .any(|destination| destination["namespace"] == object.namespace());
            kind && namespace
        };
        assert!(allowed, "the project does not allow {}", object.id());
    }
    assert!(
        used.iter().all(|used| *used),
        "the project allows more than is applied: {used:?}"
    );
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}
