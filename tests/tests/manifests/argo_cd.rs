//! Argo CD itself: upstream's installation as it was pinned, without what the lab has no use for, set up for an app-of-apps.

use std::{collections::BTreeSet, fs};

use lab_tests::{
    config::{manifests, yaml},
    kustomize::{Object, build, program, text},
    require,
};
use sha2::{Digest as _, Sha256};

/// The rendered installation; `None`, with the test skipped by name, without kustomize or upstream's part.
fn installation(test: &str) -> Option<Vec<Object>> {
    let kustomize = program(test)?;
    let path = manifests().join("argocd/install.yaml");
    let reason = "manifests/argocd/install.yaml is not there: it is fetched from the address in upstream.yaml";
    require::file(test, &path, reason)?;
    Some(build(&kustomize, "argocd").unwrap())
}

fn find<'a>(objects: &'a [Object], kind: &str, name: &str) -> Option<&'a Object> {
    objects
        .iter()
        .find(|object| object.kind() == kind && object.name() == name)
}

#[test]
fn upstream_is_named_by_address_and_digest() {
    let upstream = yaml("argocd/upstream.yaml");
    let url = upstream["url"].as_str().unwrap();
    assert!(
        url.starts_with("https://") && url.ends_with("/manifests/install.yaml"),
        "{url}"
    );
    let digest = upstream["sha256"].as_str().unwrap();
    assert!(
        digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit()),
        "{digest}"
    );
    let kustomization = yaml("argocd/kustomization.yaml");
    let images = kustomization["images"].as_sequence().unwrap();
    let pinned = images
        .iter()
        .find(|image| image["name"] == "quay.io/argoproj/argocd")
        .unwrap();
    assert_eq!(
        pinned["newTag"], upstream["version"],
        "image and installation of one version"
    );
}

#[test]
fn the_installation_is_the_pinned_one() {
    if installation("the_installation_is_the_pinned_one").is_none() {
        return;
    }
    let content = fs::read(manifests().join("argocd/install.yaml")).unwrap();
    let digest: String = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(yaml("argocd/upstream.yaml")["sha256"], digest.as_str());
}

#[test]
fn argo_cd_has_what_the_lab_needs_and_no_more() {
    let Some(objects) = installation("argo_cd_has_what_the_lab_needs_and_no_more") else {
        return;
    };
    for object in &objects {
        let name = object.name();
        assert!(
            !name.contains("dex") && !name.contains("notifications"),
            "{}",
            object.id()
        );
    }
    let workloads: BTreeSet<&str> = objects
        .iter()
        .filter(|object| object.pod_template().is_some())
        .map(Object::name)
        .collect();
    let expected = [
        "argocd-application-controller",
        "argocd-applicationset-controller",
        "argocd-redis",
        "argocd-repo-server",
        "argocd-server",
    ];
    assert_eq!(workloads, BTreeSet::from(expected));

    let settings = &find(&objects, "ConfigMap", "argocd-cm").unwrap().value["data"];
    // Waves wait for Applications only where their health is told.
    let health = text(&settings["resource.customizations.health.argoproj.io_Application"]);
    assert!(health.contains("status.health.status"), "{health}");
    assert_eq!(settings["application.resourceTrackingMethod"], "annotation");
    for metrics in [
        "argocd-metrics",
        "argocd-server-metrics",
        "argocd-repo-server",
    ] {
        assert!(find(&objects, "Service", metrics).is_some(), "{metrics}");
    }
}
