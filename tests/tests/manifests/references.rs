//! What an object names exists: configuration, Secrets, accounts, roles, services, ports, volumes.

use std::collections::BTreeSet;

use blueprint::{Account, Secret};
use lab_tests::kustomize::{Object, PodTemplate, build, buildable, items, lab, program, text};
use serde_json::Value;

/// A lab's objects, by kind, namespace and name.
struct Names<'a>(BTreeSet<(&'a str, &'a str, &'a str)>);

impl<'a> Names<'a> {
    fn of(objects: &'a [Object]) -> Self {
        let own = objects
            .iter()
            .map(|object| (object.kind(), object.namespace(), object.name()));
        // Kubernetes brings these with it.
        let kubernetes = [
            ("ClusterRole", "", "system:auth-delegator"),
            (
                "Role",
                "kube-system",
                "extension-apiserver-authentication-reader",
            ),
        ];
        Self(own.chain(kubernetes).collect())
    }

    fn has(&self, kind: &str, namespace: &str, name: &str) -> bool {
        self.0.contains(&(kind, namespace, name))
    }
}

/// The lab, and a check of each of its pod templates.
fn check_templates(test: &str, check: impl Fn(&Names<'_>, &PodTemplate<'_>)) {
    let Some(objects) = lab(test) else {
        return;
    };
    let names = Names::of(objects);
    let templates: Vec<_> = objects.iter().filter_map(Object::pod_template).collect();
    assert!(templates.len() > 10, "{} templates", templates.len());
    for template in &templates {
        check(&names, template);
    }
}

#[test]
fn pods_find_their_configuration_and_secrets() {
    check_templates(
        "pods_find_their_configuration_and_secrets",
        |names, pods| {
            let namespace = pods.owner.namespace();
            for name in values(
                pods.spec(),
                &["configMap", "configMapRef", "configMapKeyRef"],
                "name",
            ) {
                assert!(
                    names.has("ConfigMap", namespace, name) || is_made_by_argocd(namespace, name),
                    "{} names the ConfigMap {name}",
                    pods.owner.id()
                );
            }
            let secrets = values(pods.spec(), &["secret"], "secretName")
                .into_iter()
                .chain(values(
                    pods.spec(),
                    &["secretRef", "secretKeyRef", "secret"],
                    "name",
                ));
            for name in secrets {
                let bootstrap = Secret::ALL
                    .iter()
                    .any(|secret| secret.name == name && secret.namespaces.contains(&namespace));
                assert!(
                    bootstrap
                        || names.has("Secret", namespace, name)
                        || is_made_by_argocd(namespace, name),
                    "{} names the Secret {name}",
                    pods.owner.id()
                );
            }
        },
    );
}

/// Argo CD makes these itself, or does without.
fn is_made_by_argocd(namespace: &str, name: &str) -> bool {
    namespace == "argocd" && name.starts_with("argocd-")
}

#[test]
fn every_secret_of_bootstrap_is_read_by_its_keys() {
    let Some(objects) = lab("every_secret_of_bootstrap_is_read_by_its_keys") else {
        return;
    };
    for secret in Secret::ALL {
        for namespace in secret.namespaces {
            let readers: Vec<_> = objects
                .iter()
                .filter(|object| &object.namespace() == namespace)
                .filter_map(Object::pod_template)
                .filter(|pods| {
                    pods.spec()
                        .to_string()
                        .contains(&format!("\"{}\"", secret.name))
                })
                .collect();
            let is_for_people = secret.name == Account::RabbitmqOperator.name();
            assert_eq!(
                readers.is_empty(),
                is_for_people,
                "who reads {} in {namespace}?",
                secret.name
            );
            for pods in readers {
                for key in secret_keys(pods.spec(), secret.name) {
                    assert!(
                        secret.keys.contains(&key),
                        "{} reads {key} of {}",
                        pods.owner.id(),
                        secret.name
                    );
                }
            }
        }
    }
}

/// The keys of a Secret that environment variables name.
fn secret_keys<'a>(value: &'a Value, secret: &str) -> Vec<&'a str> {
    let mut keys = Vec::new();
    walk(value, &mut |name, field| {
        if name == "secretKeyRef" && field["name"] == secret {
            keys.push(text(&field["key"]));
        }
    });
    keys
}

#[test]
fn pods_find_their_account_their_volumes_and_their_ports() {
    check_templates(
        "pods_find_their_account_their_volumes_and_their_ports",
        |names, pods| {
            let (owner, spec) = (pods.owner, pods.spec());
            let account = text(&spec["serviceAccountName"]);
            assert!(
                names.has("ServiceAccount", owner.namespace(), account),
                "{} names the account {account:?}",
                owner.id()
            );
            let claims = items(&owner.value["spec"]["volumeClaimTemplates"])
                .iter()
                .map(|claim| text(&claim["metadata"]["name"]));
            let volumes: BTreeSet<&str> = items(&spec["volumes"])
                .iter()
                .map(|volume| text(&volume["name"]))
                .chain(claims)
                .collect();
            let mut mounted = BTreeSet::new();
            for container in pods.all_containers() {
                mounted.extend(
                    items(&container["volumeMounts"])
                        .iter()
                        .map(|mount| text(&mount["name"])),
                );
                let ports: BTreeSet<&str> = items(&container["ports"])
                    .iter()
                    .map(|port| text(&port["name"]))
                    .collect();
                for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
                    for handler in ["httpGet", "tcpSocket"] {
                        if let Some(port) = container[probe][handler]["port"].as_str() {
                            assert!(
                                ports.contains(port),
                                "{}: {probe} names the port {port}",
                                owner.id()
                            );
                        }
                    }
                }
            }
            assert_eq!(
                mounted,
                volumes,
                "{}: mounted, and there to be mounted",
                owner.id()
            );
        },
    );
}

#[test]
fn selectors_match_the_pods_they_are_for() {
    let Some(objects) = lab("selectors_match_the_pods_they_are_for") else {
        return;
    };
    let names = Names::of(objects);
    let templates: Vec<_> = objects.iter().filter_map(Object::pod_template).collect();
    for pods in &templates {
        if pods.owner.kind() == "Job" {
            continue;
        }
        let selector = &pods.owner.value["spec"]["selector"]["matchLabels"];
        assert!(pods.has_labels(selector), "{}", pods.owner.id());
        if pods.owner.directory != "argocd" {
            let labels: Vec<_> = selector.as_object().unwrap().keys().collect();
            assert_eq!(labels, ["app.kubernetes.io/name"], "{}", pods.owner.id());
        }
        if pods.owner.kind() == "StatefulSet" {
            let service = text(&pods.owner.value["spec"]["serviceName"]);
            assert!(
                names.has("Service", pods.owner.namespace(), service)
                    || pods.owner.directory == "argocd",
                "{} names the Service {service:?}",
                pods.owner.id()
            );
        }
    }
    for service in objects.iter().filter(|object| object.kind() == "Service") {
        let selector = &service.value["spec"]["selector"];
        let behind: Vec<_> = templates
            .iter()
            .filter(|pods| {
                pods.owner.namespace() == service.namespace() && pods.has_labels(selector)
            })
            .collect();
        assert!(!behind.is_empty(), "no pod is behind {}", service.id());
        for port in items(&service.value["spec"]["ports"]) {
            let target = &port["targetPort"];
            let listens = behind
                .iter()
                .flat_map(|pods| pods.containers())
                .any(|container| {
                    items(&container["ports"])
                        .iter()
                        .any(|port| &port["name"] == target || &port["containerPort"] == target)
                });
            assert!(
                listens,
                "{}: no container has the port {target}",
                service.id()
            );
        }
    }
}

#[test]
fn bindings_name_a_role_and_subjects_that_exist() {
    let Some(objects) = lab("bindings_name_a_role_and_subjects_that_exist") else {
        return;
    };
    let names = Names::of(objects);
    for binding in objects
        .iter()
        .filter(|object| object.kind().ends_with("RoleBinding"))
    {
        let role = &binding.value["roleRef"];
        let kind = text(&role["kind"]);
        let namespace = if kind == "Role" {
            binding.namespace()
        } else {
            ""
        };
        assert!(
            names.has(kind, namespace, text(&role["name"])),
            "{} names {role}",
            binding.id()
        );
        for subject in items(&binding.value["subjects"]) {
            let (kind, namespace) = (text(&subject["kind"]), text(&subject["namespace"]));
            assert!(
                names.has(kind, namespace, text(&subject["name"])),
                "{} names {subject}",
                binding.id()
            );
        }
    }
}

#[test]
fn overlays_refer_to_what_they_bring() {
    let Some(kustomize) = program("overlays_refer_to_what_they_bring") else {
        return;
    };
    for directory in buildable()
        .iter()
        .filter(|directory| directory.starts_with("overlays/"))
    {
        let objects = build(&kustomize, directory).unwrap();
        let names = Names::of(&objects);
        for scaled in objects
            .iter()
            .filter(|object| object.kind() == "HorizontalPodAutoscaler")
        {
            let target = &scaled.value["spec"]["scaleTargetRef"];
            assert!(
                names.has(
                    text(&target["kind"]),
                    scaled.namespace(),
                    text(&target["name"])
                ),
                "{} names {target}",
                scaled.id()
            );
        }
        for budget in objects
            .iter()
            .filter(|object| object.kind() == "PodDisruptionBudget")
        {
            let selector = &budget.value["spec"]["selector"]["matchLabels"];
            assert!(
                objects
                    .iter()
                    .filter_map(Object::pod_template)
                    .any(|pods| pods.has_labels(selector)),
                "{} selects no pod",
                budget.id()
            );
        }
    }
}

/// The texts at `key` in every field of one of these names.
fn values<'a>(value: &'a Value, fields: &[&str], key: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    walk(value, &mut |name, field| {
        if fields.contains(&name)
            && let Some(text) = field[key].as_str()
            && field["optional"] != true
        {
            found.push(text);
        }
    });
    found
}

fn walk<'a>(value: &'a Value, visit: &mut impl FnMut(&'a str, &'a Value)) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                visit(name, field);
                walk(field, visit);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}
