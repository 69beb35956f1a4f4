//! Nothing may do more than it must: containers without privileges, namespaces at their strictest level, tokens only for
//! those that speak to the API server, no password anywhere. Each exception stands here once and in the manifest with its
//! reason; one that nobody needs any more fails too.

use std::collections::{BTreeMap, BTreeSet};

use lab_tests::kustomize::{Object, items, lab, text};
use serde_json::{Value, json};

/// Workloads that need more than the strictest Pod Security level gives, and the requirement that they do not meet.
const EXCEPTIONS: [(&str, &str); 1] = [
    // The kubelet's log files belong to root.
    ("promtail", "runAsNonRoot"),
];

/// Namespaces whose pods read directories of their node, which no level but the lowest allows.
const PRIVILEGED: [&str; 2] = ["prometheus", "promtail"];

/// Those that speak to the API server.
const TOKENS: [&str; 5] = [
    "blackbox",
    "kube-state-metrics",
    "metrics-server",
    "prometheus",
    "promtail",
];

#[test]
fn containers_have_no_privileges() {
    let Some(objects) = lab("containers_have_no_privileges") else {
        return;
    };
    let mut unmet = BTreeSet::new();
    for pods in objects.iter().filter_map(Object::pod_template) {
        for container in pods.all_containers() {
            let owner = pods.owner.name().to_owned();
            unmet.extend(
                unmet_requirements(pods.spec(), container).map(|what| (owner.clone(), what)),
            );
        }
    }
    let expected = EXCEPTIONS.map(|(owner, what)| (owner.to_owned(), what));
    let unexpected: Vec<_> = unmet
        .iter()
        .filter(|found| !expected.contains(found))
        .collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    for exception in expected {
        assert!(unmet.contains(&exception), "{exception:?} is no exception");
    }
}

fn unmet_requirements(pod: &Value, container: &Value) -> impl Iterator<Item = &'static str> {
    let own = &container["securityContext"];
    let either = |name: &str| match &own[name] {
        Value::Null => pod["securityContext"][name].clone(),
        value => value.clone(),
    };
    let memory = &container["resources"]["limits"]["memory"];
    let requests = &container["resources"]["requests"];
    [
        ("runAsNonRoot", either("runAsNonRoot") == true),
        (
            "readOnlyRootFilesystem",
            own["readOnlyRootFilesystem"] == true,
        ),
        (
            "allowPrivilegeEscalation",
            own["allowPrivilegeEscalation"] == false,
        ),
        (
            "capabilities",
            own["capabilities"]["drop"] == json!(["ALL"]),
        ),
        (
            "seccompProfile",
            either("seccompProfile")["type"] == "RuntimeDefault",
        ),
        (
            "resources",
            memory.is_string() && requests["cpu"].is_string() && requests["memory"].is_string(),
        ),
    ]
    .into_iter()
    .filter(|(_, is_met)| !is_met)
    .map(|(name, _)| name)
}

#[test]
fn a_container_that_asks_for_nothing_meets_no_requirement() {
    let unmet: Vec<_> = unmet_requirements(&json!({}), &json!({})).collect();
    assert_eq!(unmet.len(), 6, "{unmet:?}");
}

#[test]
fn the_labs_own_services_can_write_the_temporary_file_of_their_profiler() {
    let test = "the_labs_own_services_can_write_the_temporary_file_of_their_profiler";
    let Some(objects) = lab(test) else {
        return;
    };
    let mut services = 0;
    for pods in objects.iter().filter_map(Object::pod_template) {
        for container in pods.containers() {
            if !text(&container["image"]).starts_with("lab/") {
                continue;
            }
            services += 1;
            let mut mounts = items(&container["volumeMounts"]).iter();
            let temporary = mounts.find(|mount| mount["mountPath"] == "/tmp");
            let name = temporary.map(|mount| &mount["name"]);
            let volume = items(&pods.spec()["volumes"])
                .iter()
                .find(|volume| Some(&volume["name"]) == name);
            assert!(
                volume.is_some_and(|volume| volume["emptyDir"].is_object()),
                "{} cannot write to /tmp",
                pods.owner.id()
            );
        }
    }
    assert_eq!(services, 2);
}

#[test]
fn namespaces_enforce_the_strictest_level_that_holds() {
    let Some(objects) = lab("namespaces_enforce_the_strictest_level_that_holds") else {
        return;
    };
    for namespace in objects.iter().filter(|object| object.kind() == "Namespace") {
        let level = if PRIVILEGED.contains(&namespace.name()) {
            "privileged"
        } else {
            "restricted"
        };
        for mode in ["enforce", "audit", "warn"] {
            let label = format!("pod-security.kubernetes.io/{mode}");
            assert_eq!(
                namespace.label(&label),
                Some(level),
                "{}: {label}",
                namespace.id()
            );
        }
    }
}

#[test]
fn only_those_that_speak_to_the_api_server_have_a_token() {
    let Some(objects) = lab("only_those_that_speak_to_the_api_server_have_a_token") else {
        return;
    };
    let own = |object: &&Object| object.directory != "argocd";
    let with_token: BTreeSet<_> = objects
        .iter()
        .filter(own)
        .filter_map(Object::pod_template)
        .filter(|pods| pods.spec()["automountServiceAccountToken"] != false)
        .map(|pods| pods.owner.name())
        .collect();
    assert_eq!(with_token, BTreeSet::from(TOKENS));
    for account in objects
        .iter()
        .filter(own)
        .filter(|object| object.kind() == "ServiceAccount")
    {
        // A pod says itself whether it wants one.
        assert_eq!(
            account.value["automountServiceAccountToken"],
            false,
            "{}",
            account.id()
        );
    }
    let mut users: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for pods in objects.iter().filter(own).filter_map(Object::pod_template) {
        let account = text(&pods.spec()["serviceAccountName"]);
        users
            .entry((pods.owner.namespace(), account))
            .or_default()
            .push(pods.owner.name());
    }
    for (account, owners) in users {
        assert_eq!(owners.len(), 1, "{account:?} is shared by {owners:?}");
    }
}

#[test]
fn no_role_may_read_secrets_of_the_lab_or_do_everything() {
    let Some(objects) = lab("no_role_may_read_secrets_of_the_lab_or_do_everything") else {
        return;
    };
    for role in objects {
        if !["Role", "ClusterRole"].contains(&role.kind()) || role.directory == "argocd" {
            continue;
        }
        for rule in items(&role.value["rules"]) {
            let has = |list: &str, word: &str| items(&rule[list]).iter().any(|item| item == word);
            assert!(
                !has("verbs", "*") && !has("resources", "*"),
                "{}: {rule}",
                role.id()
            );
            // kube-state-metrics counts them; it cannot read what is in one without `get`.
            let reads = has("verbs", "get") || !role.directory.starts_with("kube-state-metrics");
            assert!(
                !(has("resources", "secrets") && reads),
                "{}: {rule}",
                role.id()
            );
        }
    }
}

#[test]
fn the_manifests_make_no_secret() {
    let Some(objects) = lab("the_manifests_make_no_secret") else {
        return;
    };
    for object in objects {
        let has_data = ["data", "stringData"]
            .iter()
            .any(|field| !object.value[*field].is_null());
        assert!(object.kind() != "Secret" || !has_data, "{}", object.id());
    }
}

#[test]
fn every_image_is_named_by_tag_and_digest() {
    let Some(objects) = lab("every_image_is_named_by_tag_and_digest") else {
        return;
    };
    let images: BTreeSet<&str> = objects
        .iter()
        .filter_map(Object::pod_template)
        .flat_map(|pods| pods.all_containers().collect::<Vec<_>>())
        .map(|container| text(&container["image"]))
        .collect();
    assert!(images.len() > 10, "{images:?}");
    for image in images {
        // Their digest is known once they are built and pushed.
        if image == "lab/producer" || image == "lab/consumer" {
            continue;
        }
        let (name, digest) = image
            .split_once("@sha256:")
            .unwrap_or_else(|| panic!("{image}"));
        assert!(
            digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit()),
            "{image}"
        );
        let (repository, tag) = name.rsplit_once(':').unwrap_or_else(|| panic!("{image}"));
        assert!(
            repository.contains('.') && repository.contains('/'),
            "{image} has no registry"
        );
        assert!(
            tag.contains(|c: char| c.is_ascii_digit()),
            "{image} has no version"
        );
    }
}
