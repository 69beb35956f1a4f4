//! The lab in namespaces with a prefix: no object, selector, address or query names a namespace without it.

use std::collections::BTreeSet;

use blueprint::Component;
use cluster::{Changes, Namespaces, Staged};
use lab_tests::{
    config::manifests,
    kustomize::{Object, build_in, buildable, has_argocd, program},
};
use serde_json::Value;

const PREFIX: &str = "demo-";

#[test]
fn with_a_prefix_nothing_names_a_namespace_without_it() {
    let Some(kustomize) = program("with_a_prefix_nothing_names_a_namespace_without_it") else {
        return;
    };
    let changes = Changes {
        namespaces: Namespaces::new(PREFIX),
        storage_class: None,
    };
    let mut staged = Staged::new(&manifests(), &[], &changes).unwrap();
    if has_argocd() {
        let installation = manifests().join("argocd/install.yaml");
        staged = staged.with_installation(&installation).unwrap();
    }
    let mut count = 0;
    for directory in buildable() {
        for object in build_in(&staged.manifests(), &kustomize, &directory).unwrap() {
            everything_is_prefixed(&object);
            count += 1;
        }
    }
    assert!(count > 100, "{count} objects");
}

fn everything_is_prefixed(object: &Object) {
    let is_ours = |name: &str| name.is_empty() || name == "kube-system" || name.starts_with(PREFIX);
    assert!(is_ours(object.namespace()), "{}", object.id());
    if object.kind() == "Namespace" {
        assert!(object.name().starts_with(PREFIX), "{}", object.id());
    }
    let mut named = BTreeSet::new();
    collect(&object.value, &mut named);
    for name in named {
        assert!(is_ours(&name), "{} names the namespace {name}", object.id());
    }
    let text = object.value.to_string();
    for component in Component::ALL {
        let host = format!("{}.svc", component.namespace());
        if component.namespace() != "kube-system" {
            assert!(
                !text.contains(&format!(".{host}")),
                "{} names .{host}",
                object.id()
            );
        }
    }
}

/// Every namespace that an object names: in subjects and destinations, in selectors, in a project's list.
fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let is_whitelisted = fields.get("kind").is_some_and(|kind| kind == "Namespace");
            for (key, field) in fields {
                let is_namespace = key == "namespace"
                    || key == "kubernetes.io/metadata.name"
                    || (key == "name" && is_whitelisted && fields.contains_key("group"));
                match field.as_str() {
                    Some(name) if is_namespace => {
                        found.insert(name.to_owned());
                    }
                    _ => collect(field, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}
