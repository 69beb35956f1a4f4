//! Every directory builds, from nothing but itself, and reads as it is laid out: one object a file, named by its kind.

use std::{collections::BTreeSet, fs, path::Path};

use lab_tests::{
    config::{self, documents, manifests},
    kustomize::{build, buildable, directories, program},
};

#[test]
fn every_directory_builds() {
    let Some(kustomize) = program("every_directory_builds") else {
        return;
    };
    let mut failures = Vec::new();
    for directory in buildable() {
        match build(&kustomize, &directory) {
            Ok(objects) => assert!(!objects.is_empty(), "{directory} has no object"),
            Err(error) => failures.push(format!("{directory}: {error}")),
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn no_directory_needs_a_network() {
    for directory in directories() {
        let kustomization = config::yaml(&format!("{directory}/kustomization.yaml"));
        for list in ["resources", "components", "patches"] {
            for entry in config::list(&kustomization[list]) {
                let path = entry.as_str().or(entry["path"].as_str());
                let Some(path) = path else {
                    continue;
                };
                let local = manifests().join(&directory).join(path);
                let fetched = directory == "argocd" && path == "install.yaml";
                assert!(fetched || local.exists(), "{directory} names {path}");
            }
        }
    }
}

#[test]
fn every_file_of_objects_is_listed_and_holds_one_object_named_by_its_kind() {
    for directory in directories() {
        let kustomization = config::yaml(&format!("{directory}/kustomization.yaml"));
        let listed: BTreeSet<&str> = ["resources", "patches"]
            .into_iter()
            .flat_map(|list| config::list(&kustomization[list]))
            .filter_map(|entry| entry.as_str().or(entry["path"].as_str()))
            .collect();
        for path in object_files(&manifests().join(&directory)) {
            let name = path.file_name().unwrap().to_str().unwrap();
            let at = format!("{directory}/{name}");
            assert!(listed.contains(name), "{at} is in no list");
            let text = fs::read_to_string(&path).unwrap();
            let objects = documents(&text).unwrap();
            assert_eq!(objects.len(), 1, "{at} holds {} objects", objects.len());
            let kind = objects[0]["kind"].as_str().unwrap().to_lowercase();
            // Applications are named after their component: they are all that lies in their directory.
            if !directory.contains("apps") {
                let stem = name.trim_end_matches(".yaml");
                assert!(
                    stem == kind || stem.starts_with(&format!("{kind}-")),
                    "{at} holds a {kind}"
                );
            }
        }
    }
}

/// What lies there only on disk is no part of the lab.
#[test]
fn every_dashboard_and_every_file_of_rules_is_handed_over() {
    for (component, folder) in [("grafana", "dashboards"), ("prometheus", "rules")] {
        let kustomization =
            fs::read_to_string(manifests().join(component).join("kustomization.yaml")).unwrap();
        for entry in fs::read_dir(manifests().join(component).join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let listed = format!("- {folder}/{name}\n");
            assert!(
                kustomization.contains(&listed),
                "{component}/kustomization.yaml has no {folder}/{name}"
            );
        }
    }
}

/// Files of a directory with a Kubernetes object in them: the others are configuration.
fn object_files(directory: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .filter(|path| {
            !path.ends_with("kustomization.yaml") && !path.ends_with("argocd/install.yaml")
        })
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap();
            text.lines().any(|line| line.starts_with("apiVersion:"))
                && text.lines().any(|line| line.starts_with("kind:"))
        })
        .collect()
}
