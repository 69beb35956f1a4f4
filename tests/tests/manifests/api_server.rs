//! What a real API server says: every object accepted by a strict server-side apply, in the order of the waves, twice, the
//! second time without a change; and every pod admitted at its namespace's Pod Security level.

use std::collections::BTreeMap;

use lab_tests::{
    api_server::ApiServer,
    kustomize::{Object, build, buildable, has_argocd, lab, program},
};
use serde_json::{Value, json};

#[test]
fn a_real_api_server_takes_every_object_and_every_pod() {
    let test = "a_real_api_server_takes_every_object_and_every_pod";
    let Some(kustomize) = program(test) else {
        return;
    };
    let Some(objects) = lab(test) else {
        return;
    };
    let Some(api) = ApiServer::start(test) else {
        return;
    };
    let waves = in_order(objects);
    for wave in &waves {
        apply(&api, wave);
    }
    let first = versions(&api, &waves);
    for wave in &waves {
        apply(&api, wave);
    }
    assert_eq!(
        versions(&api, &waves),
        first,
        "the second apply changes something"
    );

    let overlays: Vec<Object> = buildable()
        .iter()
        .filter(|directory| directory.starts_with("overlays/"))
        .filter(|directory| !directory.ends_with("argocd") && !directory.ends_with("apps"))
        .flat_map(|directory| build(&kustomize, directory).unwrap())
        .collect();
    apply(&api, &overlays.iter().collect::<Vec<_>>());

    pods_are_admitted(&api, objects.iter().chain(&overlays));
    a_pod_with_privileges_is_refused(&api, objects);
    a_mistyped_field_is_refused(&api, objects);
}

/// Definitions, namespaces, Argo CD, then the Applications' directories by their waves.
fn in_order(objects: &[Object]) -> Vec<Vec<&Object>> {
    let wave = |directory: &str| {
        objects
            .iter()
            .filter(|object| object.kind() == "Application")
            .find(|object| object.name() == directory)
            .and_then(|object| {
                object
                    .annotation("argocd.argoproj.io/sync-wave")?
                    .parse()
                    .ok()
            })
            .unwrap_or(0_i32)
    };
    let place = |object: &Object| match object.directory.as_str() {
        _ if object.kind() == "CustomResourceDefinition" => (0, 0),
        "namespaces" => (1, 0),
        "argocd" => (2, 0),
        "apps" => (3, 0),
        directory => (4, wave(directory)),
    };
    let mut waves: BTreeMap<(i32, i32), Vec<&Object>> = BTreeMap::new();
    for object in objects {
        // Without upstream's installation nobody has defined what an Application is.
        if object.directory == "apps" && !has_argocd() {
            continue;
        }
        waves.entry(place(object)).or_default().push(object);
    }
    // An object of a namespace comes after the namespace, which its own wave may bring.
    for wave in waves.values_mut() {
        wave.sort_by_key(|object| object.kind() != "Namespace");
    }
    waves.into_values().collect()
}

fn list(objects: &[&Object]) -> String {
    let items: Vec<&Value> = objects.iter().map(|object| &object.value).collect();
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

fn apply(api: &ApiServer, objects: &[&Object]) {
    const APPLY: [&str; 6] = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--validate=strict",
        "--field-manager=lab",
        "--filename=-",
    ];
    let directories: Vec<_> = objects.iter().map(|object| &object.directory).collect();
    // Right after its definition a kind is not served yet.
    lab_tests::wait::until_blocking("the kinds to be served", || {
        match api.kubectl(&APPLY, &list(objects)) {
            Err(said) if said.contains("ensure CRDs are installed first") => Err(said),
            Err(said) => panic!("{directories:?}: {said}"),
            Ok(_) => Ok(()),
        }
    });
}

/// The version of each object in the store.
fn versions(api: &ApiServer, waves: &[Vec<&Object>]) -> Vec<String> {
    const VERSION: &str = "jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name} \
                           {.metadata.resourceVersion}{\"\\n\"}{end}";
    let objects: Vec<&Object> = waves.iter().flatten().copied().collect();
    let said = api
        .kubectl(
            &["get", "--filename=-", "--output", VERSION],
            &list(&objects),
        )
        .unwrap();
    said.lines().map(str::to_owned).collect()
}

/// A controller would make them; a dry run asks admission the same question.
fn pods_are_admitted<'a>(api: &ApiServer, objects: impl Iterator<Item = &'a Object>) {
    let mut count = 0;
    for pods in objects.filter_map(Object::pod_template) {
        let mut pod = pods.template.clone();
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        pod["metadata"]["name"] = format!("{}-0", pods.owner.name()).into();
        pod["metadata"]["namespace"] = pods.owner.namespace().into();
        // The claims of a StatefulSet become volumes of its pods.
        let claims = &pods.owner.value["spec"]["volumeClaimTemplates"];
        for claim in lab_tests::kustomize::items(claims) {
            let volume = json!({ "name": claim["metadata"]["name"], "emptyDir": {} });
            match pod["spec"]["volumes"].as_array_mut() {
                Some(volumes) => volumes.push(volume),
                None => pod["spec"]["volumes"] = json!([volume]),
            }
        }
        if let Err(said) = create(api, &pod) {
            panic!("{}: {said}", pods.owner.id());
        }
        count += 1;
    }
    assert!(count > 15, "{count} pods");
}

fn create(api: &ApiServer, pod: &Value) -> Result<String, String> {
    api.kubectl(
        &[
            "create",
            "--dry-run=server",
            "--validate=strict",
            "--filename=-",
        ],
        &pod.to_string(),
    )
}

fn a_pod_with_privileges_is_refused(api: &ApiServer, objects: &[Object]) {
    let restricted = objects.iter().filter(|object| {
        object.kind() == "Namespace"
            && object.label("pod-security.kubernetes.io/enforce") == Some("restricted")
    });
    let mut count = 0;
    for namespace in restricted {
        let account = objects
            .iter()
            .find(|object| {
                object.kind() == "ServiceAccount" && object.namespace() == namespace.name()
            })
            .unwrap_or_else(|| panic!("{} has no account", namespace.id()));
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": "privileged", "namespace": namespace.name() },
            "spec": {
                "serviceAccountName": account.name(),
                "containers": [{ "name": "c", "image": "x", "securityContext": { "privileged": true } }],
            },
        });
        let said = create(api, &pod).expect_err(namespace.name());
        assert!(said.contains("violates PodSecurity"), "{said}");
        count += 1;
    }
    assert!(count > 5, "{count} namespaces");
}

fn a_mistyped_field_is_refused(api: &ApiServer, objects: &[Object]) {
    let mut service = objects
        .iter()
        .find(|object| object.kind() == "Service")
        .unwrap()
        .value
        .clone();
    service["spec"]["selectr"] = json!({});
    let said = api.kubectl(
        &[
            "apply",
            "--server-side",
            "--validate=strict",
            "--field-manager=lab",
            "--filename=-",
        ],
        &service.to_string(),
    );
    let said = said.expect_err("a mistyped field");
    assert!(said.contains("selectr"), "{said}");
}
