//! A lab comes up, stays as it is, survives a restart of the machine, and goes.

use lab_tests::kind_lab::{BOOTSTRAP, KindLab, Next, step};

use crate::{STEPS, objects, secrets, workloads};

#[test]
fn a_lab_comes_up_stays_and_goes() {
    let Some(lab) = KindLab::new("a_lab_comes_up_stays_and_goes") else {
        return;
    };
    let first = lab.bootstrap();
    first.line("The lab `default` is up after");
    let mut steps: Vec<_> = first
        .lines
        .iter()
        .filter_map(|line| step(line))
        .map(|(name, _)| name)
        .collect();
    steps.dedup();
    // Behind them come the Applications, of which one is called like a step.
    steps.truncate(STEPS.len());
    assert_eq!(steps, STEPS, "{first:#?}");
    everything_is_in_order(&lab);
    let (first_objects, first_workloads, first_secrets) =
        (objects(&lab), workloads(&lab), secrets(&lab));

    lab.bootstrap()
        .line("The lab `default` is up; nothing changed");
    assert_eq!(objects(&lab), first_objects);
    assert_eq!(workloads(&lab), first_workloads);

    lab.engine(|engine| engine.stop_all());
    let again = lab.bootstrap();
    again.line("The lab `default` is up after");
    let restarted = |name: &str| {
        again
            .lines
            .iter()
            .any(|line| step(line) == Some((name, "started again")))
    };
    assert!(restarted("registry") && restarted("cluster"), "{again:#?}");
    assert_eq!(objects(&lab), first_objects);

    lab.run(&["down"])
        .with_code(0)
        .line("Nothing of the lab `default` is left");
    assert_eq!(lab.engine(|engine| engine.has()), [""; 0]);
    assert!(!lab.registry_listens());
    lab.run(&["down"])
        .with_code(0)
        .line("Nothing of the lab `default` is left");

    lab.bootstrap().line("The lab `default` is up after");
    everything_is_in_order(&lab);
    let second_secrets = secrets(&lab);
    assert!(first_secrets.keys().eq(second_secrets.keys()));
    assert_ne!(first_secrets, second_secrets, "a new lab has new passwords");

    lab.run(&["down", "--purge"]).with_code(0);
    assert!(!lab.directory().exists());
}

/// What a bootstrap leaves, on the machine and on the cluster.
fn everything_is_in_order(lab: &KindLab) {
    lab.engine(|engine| {
        let has = engine.has();
        assert_eq!(
            has,
            [
                "container lab-default-control-plane",
                "container lab-default-registry",
                "network lab-default",
                "volume lab-default-registry",
            ]
        );
        for labels in engine.networks.values().chain(engine.volumes.values()) {
            assert_eq!(labels["lab.name"], "default");
        }
        let registry = &engine.containers["lab-default-registry"];
        assert_eq!(registry.labels["lab.name"], "default");
        assert!(
            registry.image.contains("registry") && registry.image.contains("@sha256:"),
            "{registry:?}"
        );
        assert!(
            engine
                .containers
                .values()
                .all(|container| container.network == "lab-default")
        );
        for name in ["docker.io", "quay.io", "lab-default-registry:5000"] {
            let file = &engine.files[&format!("/etc/containerd/certs.d/{name}/hosts.toml")];
            assert!(
                file.contains("[host.\"http://lab-default-registry:5000\"]"),
                "{file}"
            );
        }
    });
    let text = std::fs::read_to_string(lab.directory().join("lab.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let config = lab.engine(|engine| engine.config.clone());
    for (owner, port) in file["ports"].as_object().unwrap() {
        if owner != "registry/http" {
            assert!(
                config.contains(&format!("hostPort: {port}")),
                "{owner}: {config}"
            );
        }
    }
    let root: serde_json::Value = serde_json::from_str(&lab.kubectl(&[
        "get",
        "application",
        "root",
        "--namespace=argocd",
        "--output=json",
    ]))
    .unwrap();
    let source = &root["spec"]["source"];
    assert_eq!(
        source["repoURL"],
        "oci://lab-default-registry:5000/manifests"
    );
    assert!(
        source["targetRevision"]
            .as_str()
            .unwrap()
            .starts_with("sha256:"),
        "{source}"
    );
    for secret in blueprint::Secret::ALL {
        for namespace in secret.namespaces {
            lab.kubectl(&["get", "secret", secret.name, "--namespace", namespace]);
        }
    }
}

#[test]
fn what_another_lab_has_made_is_left_alone() {
    let Some(lab) = KindLab::new("what_another_lab_has_made_is_left_alone") else {
        return;
    };
    lab.engine(|engine| {
        engine
            .networks
            .insert("lab-default".to_owned(), Default::default())
    });
    let said = lab.run(&BOOTSTRAP).with_code(1);
    said.line("error: the network lab-default belongs to another lab, or to none");
    lab.run(&["down"]).with_code(0);
    assert_eq!(lab.engine(|engine| engine.has()), ["network lab-default"]);
}

#[test]
fn a_port_that_was_taken_meanwhile_is_moved_by_the_next_run() {
    let Some(lab) = KindLab::new("a_port_that_was_taken_meanwhile_is_moved_by_the_next_run") else {
        return;
    };
    lab.engine(|engine| {
        engine.fail(
            "docker run",
            125,
            "Bind for 127.0.0.1 failed: port is already allocated",
        );
        engine.leave_created("lab-default-registry", "lab-default");
    });
    lab.run(&BOOTSTRAP).with_code(1);
    let port = lab.port("registry/http");
    let _taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    lab.engine(|engine| engine.mend());
    let said = lab.run_watched(&BOOTSTRAP, |line| match step(line) {
        Some(("cluster", _)) => Next::Kill,
        _ => Next::Go,
    });
    said.line("registry/http is reached at");
    assert_ne!(lab.port("registry/http"), port);
    assert!(lab.registry_listens());
}
