//! What the user reads when something is missing, refuses or does not come. The reviewed texts are the `.out` files beside
//! this one; after a meant change write them again with `UPDATE_EXPECT=1 cargo test --package lab-tests --test kind_engine`.

use std::fs;

use expect_test::expect_file;
use lab_tests::{
    api_server::NOBODY,
    kind_lab::{BOOTSTRAP, KindLab, Next, patch, pin, pods, set_status, sha256, step},
};
use serde_json::json;

use crate::transcript::transcript;

#[test]
fn a_lab_that_is_not_there_or_another_is_named() {
    let test = "a_lab_that_is_not_there_or_another_is_named";
    let Some(lab) = KindLab::new(test) else {
        return;
    };
    let mut text = String::new();
    let mut say = |title: &str, arguments: &[&str]| {
        let said = lab.run(arguments);
        text.push_str(&transcript(&lab, title, arguments, &said));
    };
    for arguments in [
        &["status"][..],
        &["logs", "loki"],
        &["push"],
        &["credentials"],
        &["verify"],
        &["down"],
    ] {
        say(
            "there is no such lab",
            &[arguments, &["--name", "absent"]].concat(),
        );
    }
    // A lab that was never up is no other than one that is down.
    for arguments in [
        &["status"][..],
        &["logs", "loki"],
        &["push"],
        &["credentials"],
        &["verify"],
        &["down"],
    ] {
        say("the lab is down", arguments);
    }
    let host = lab::Lab::at(&lab.state(), "host");
    host.load_or_create(&lab::Engine::Host).unwrap();
    for arguments in [&BOOTSTRAP[..], &["status"], &["push"], &["down"]] {
        say(
            "the lab is the host engine's",
            &[arguments, &["--name", "host"]].concat(),
        );
    }
    say(
        "a cluster without its context",
        &["bootstrap", "--engine", "cluster"],
    );
    say(
        "a context without a kubeconfig",
        &[
            "bootstrap",
            "--name",
            "given",
            "--engine",
            "cluster",
            "--context",
            "far",
            "--registry",
            "127.0.0.1:1/lab",
        ],
    );
    say(
        "an installation without manifests",
        &["status", "--root", "/nonexistent"],
    );
    expect_file!["other_labs.out"].assert_eq(&text);
}

#[test]
fn what_registry_and_argo_cds_source_refuse_is_explained() {
    let test = "what_registry_and_argo_cds_source_refuse_is_explained";
    let Some(lab) = KindLab::new(test) else {
        return;
    };
    let mut text = String::new();
    let mut say = |title: &str| {
        let said = lab.run(&BOOTSTRAP);
        text.push_str(&transcript(&lab, title, &BOOTSTRAP, &said));
    };
    lab.engine(|engine| {
        engine.registry_settings = |folder| {
            let file = folder.join("htpasswd");
            fs::write(&file, "").unwrap();
            format!(
                "auth:\n  htpasswd:\n    realm: lab\n    path: {}\n",
                file.display()
            )
        };
    });
    say("the registry wants a login");
    lab.engine(|engine| {
        engine.registry_settings = |_| String::new();
        engine.make_registry_anew();
    });
    let install = lab.manifests().join("argocd/install.yaml");
    let content = fs::read(&install).unwrap();
    let nowhere = "http://127.0.0.1:1/install.yaml";
    fs::write(&install, "kind: [").unwrap();
    pin(&lab.manifests(), nowhere, &sha256(b"kind: ["));
    say("Argo CD's installation is malformed");
    fs::remove_file(&install).unwrap();
    pin(&lab.manifests(), nowhere, &sha256(&content));
    say("Argo CD's installation cannot be fetched");
    // The registry, which runs by now, answers with something else.
    let url = format!("http://127.0.0.1:{}/v2/", lab.port("registry/http"));
    pin(&lab.manifests(), &url, &sha256(&content));
    say("Argo CD's installation is another");
    expect_file!["sources.out"].assert_eq(&text);
}

#[test]
fn what_the_cluster_refuses_or_does_not_bring_is_explained() {
    let test = "what_the_cluster_refuses_or_does_not_bring_is_explained";
    let Some(lab) = KindLab::new(test) else {
        return;
    };
    let mut text = String::new();
    let said = lab.run_watched(&BOOTSTRAP, |line| {
        // The next step asks nothing of it and takes a second: it is gone when the one after that does.
        if step(line) == Some(("mirrors", "naming the lab's registry on the node")) {
            lab.api(|api| api.stop());
        }
        Next::Go
    });
    text.push_str(&transcript(
        &lab,
        "the API server goes away",
        &BOOTSTRAP,
        &said,
    ));
    lab.api(|api| api.resume());

    let said = lab.run_watched(&BOOTSTRAP, |line| {
        if step(line) == Some(("argo cd's pods", "waiting for them")) {
            cannot_pull(&lab);
        }
        if line.starts_with("argocd-repo-server") {
            Next::Kill
        } else {
            Next::Go
        }
    });
    text.push_str(&transcript(&lab, "a pod does not start", &BOOTSTRAP, &said));

    let words = "rpc error: code = Unknown desc = failed to pull sha256:0123: not found";
    let failed = json!({ "conditions": [{ "type": "ComparisonError", "message": words }] });
    let mut said = lab.run_watched(&BOOTSTRAP, |line| {
        match step(line) {
            Some(("applications", _)) => patch(&lab, "root", &failed),
            Some(("root", said)) if said.contains("rpc error") => return Next::Kill,
            _ => lab.play(line),
        }
        Next::Go
    });
    // Whether it is seen before Argo CD has said anything is a matter of milliseconds.
    said.lines
        .retain(|line| !line.ends_with("not at this revision yet"));
    text.push_str(&transcript(
        &lab,
        "Argo CD cannot read the source",
        &BOOTSTRAP,
        &said,
    ));

    lab.bootstrap().line("The lab `default` is up");
    patch(&lab, "loki", &failed);
    patch(&lab, "loki", &json!({ "sync": { "status": "Unknown" } }));
    let said = lab.run_watched(&BOOTSTRAP, |line| {
        let is_told = line.starts_with("loki ") && line.contains("rpc error");
        if is_told { Next::Kill } else { Next::Go }
    });
    text.push_str(&transcript(
        &lab,
        "Argo CD cannot compare one Application",
        &BOOTSTRAP,
        &said,
    ));

    let mut say = |title: &str, arguments: &[&str]| {
        let said = lab.run(arguments);
        text.push_str(&transcript(&lab, title, arguments, &said));
    };
    let unknown = format!("sha256:{}", "0".repeat(64));
    say(
        "a digest that the registry does not have",
        &["push", "--to", &unknown],
    );
    say("a digest that is none", &["push", "--to", "latest"]);
    say("a component without a pod", &["logs", "loki"]);
    for (title, token) in [
        ("a user without rights", NOBODY),
        ("a user that is unknown", "expired"),
    ] {
        let kubeconfig = lab.api(|api| api.kubeconfig("kind-lab-default", token));
        fs::write(lab.directory().join("kubeconfig"), kubeconfig).unwrap();
        for arguments in [&BOOTSTRAP[..], &["status"], &["credentials"], &["push"]] {
            say(title, arguments);
        }
    }
    lab.engine(|engine| engine.stop_all());
    say("the machine was restarted", &["status"]);
    lab.engine(|engine| engine.idle("docker volume rm"));
    say("a volume is not removed", &["down"]);
    expect_file!["cluster.out"].assert_eq(&text);
}

/// What kubelet says of an image that does not come.
fn cannot_pull(lab: &KindLab) {
    let pod = lab_tests::wait::until_blocking("the pod", || {
        let pods = pods(lab);
        let pod = pods.iter().find(|pod| pod.contains("repo-server"));
        pod.cloned().ok_or("no such pod")
    });
    set_status(
        lab,
        &pod,
        &json!({
            "phase": "Pending",
            "containerStatuses": [{
                "name": "argocd-repo-server", "ready": false, "restartCount": 0, "imageID": "",
                "image": "quay.io/argoproj/argocd:v3.5.1",
                "state": { "waiting": {
                    "reason": "ImagePullBackOff",
                    "message": "Back-off pulling image \"quay.io/argoproj/argocd:v3.5.1\": not found",
                } },
            }],
        }),
    );
    // The others run, so that this one is what is waited for.
    for other in pods(lab).iter().filter(|other| **other != pod) {
        set_status(
            lab,
            other,
            &json!({
                "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }],
            }),
        );
    }
}
