//! Every object is read into the type of its kind and written back: a field that the type does not know is lost.

use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment, StatefulSet},
        autoscaling::v2::HorizontalPodAutoscaler,
        batch::v1::Job,
        core::v1::{
            ConfigMap, Namespace, PersistentVolume, PersistentVolumeClaim, Secret, Service,
            ServiceAccount,
        },
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use lab_tests::kustomize::{Object, build, buildable, program};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::argo::{AppProject, Application};

#[test]
fn no_object_loses_a_field_in_its_type() {
    let Some(kustomize) = program("no_object_loses_a_field_in_its_type") else {
        return;
    };
    let mut losses = Vec::new();
    for directory in buildable() {
        for object in build(&kustomize, &directory).unwrap() {
            losses.extend(lost_fields(&object));
        }
    }
    assert!(losses.is_empty(), "{}", losses.join("\n"));
}

#[test]
fn an_unknown_field_is_noticed() {
    let object = |value: Value| Object {
        directory: "test".to_owned(),
        value,
    };
    let mistyped = object(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "x" },
        "spec": { "selector": {}, "template": { "spec": { "containers": [{ "name": "x", "imagePullPolice": "Never" }] } } },
    }));
    assert_eq!(
        lost_fields(&mistyped),
        ["test: Deployment /x: spec.template.spec.containers[0].imagePullPolice"]
    );
    let unknown =
        object(json!({ "apiVersion": "v1", "kind": "Podd", "metadata": { "name": "x" } }));
    assert_eq!(
        lost_fields(&unknown),
        ["test: Podd /x: no type is known for v1 Podd"]
    );
    let application = object(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": { "name": "x" },
        "spec": { "project": "lab", "destination": {}, "sources": "x" },
    }));
    assert_eq!(lost_fields(&application).len(), 1);
}

fn lost_fields(object: &Object) -> Vec<String> {
    let value = &object.value;
    let back = match (object.api_version(), object.kind()) {
        ("v1", "ConfigMap") => through::<ConfigMap>(value),
        ("v1", "Namespace") => through::<Namespace>(value),
        ("v1", "PersistentVolume") => through::<PersistentVolume>(value),
        ("v1", "PersistentVolumeClaim") => through::<PersistentVolumeClaim>(value),
        ("v1", "Secret") => through::<Secret>(value),
        ("v1", "Service") => through::<Service>(value),
        ("v1", "ServiceAccount") => through::<ServiceAccount>(value),
        ("apps/v1", "DaemonSet") => through::<DaemonSet>(value),
        ("apps/v1", "Deployment") => through::<Deployment>(value),
        ("apps/v1", "StatefulSet") => through::<StatefulSet>(value),
        ("batch/v1", "Job") => through::<Job>(value),
        ("autoscaling/v2", "HorizontalPodAutoscaler") => through::<HorizontalPodAutoscaler>(value),
        ("policy/v1", "PodDisruptionBudget") => through::<PodDisruptionBudget>(value),
        ("networking.k8s.io/v1", "NetworkPolicy") => through::<NetworkPolicy>(value),
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => through::<ClusterRole>(value),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => {
            through::<ClusterRoleBinding>(value)
        }
        ("rbac.authorization.k8s.io/v1", "Role") => through::<Role>(value),
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => through::<RoleBinding>(value),
        ("apiregistration.k8s.io/v1", "APIService") => through::<APIService>(value),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition") => {
            through::<CustomResourceDefinition>(value)
        }
        ("argoproj.io/v1alpha1", "Application") => through::<Application>(value),
        ("argoproj.io/v1alpha1", "AppProject") => through::<AppProject>(value),
        (version, kind) => Err(format!("no type is known for {version} {kind}")),
    };
    let mut losses = Vec::new();
    match back {
        Ok(back) => compare(value, &back, "", &mut losses),
        Err(error) => losses.push(error),
    }
    losses
        .into_iter()
        .map(|loss| format!("{}: {loss}", object.id()))
        .collect()
}

fn through<T: DeserializeOwned + Serialize>(value: &Value) -> Result<Value, String> {
    let typed: T = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(typed).map_err(|error| error.to_string())
}

/// The paths of fields that are not in `back` as they are in `value`.
fn compare(value: &Value, back: &Value, path: &str, losses: &mut Vec<String>) {
    match (value, back) {
        (Value::Object(fields), Value::Object(kept)) => {
            for (name, field) in fields {
                // A null field is an absent one.
                if field.is_null() {
                    continue;
                }
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                match kept.get(name) {
                    Some(kept) => compare(field, kept, &path, losses),
                    None => losses.push(path),
                }
            }
        }
        (Value::Array(items), Value::Array(kept)) if items.len() == kept.len() => {
            for (index, (item, kept)) in items.iter().zip(kept).enumerate() {
                compare(item, kept, &format!("{path}[{index}]"), losses);
            }
        }
        (Value::Number(number), Value::Number(kept)) if number.as_f64() == kept.as_f64() => {}
        _ if value == back => {}
        _ => losses.push(path.to_owned()),
    }
}
