//! What programs read: the same shape whatever runs the lab.

use std::collections::BTreeSet;

use lab_tests::{
    command_line::{program, said},
    kind_lab::{BOOTSTRAP, KindLab, Next, step},
};
use serde_json::Value;

#[test]
fn reports_have_one_shape_on_every_engine() {
    let Some(lab) = KindLab::new("reports_have_one_shape_on_every_engine") else {
        return;
    };
    // To its end: no pod of what is applied here runs, the verification finds nobody to speak with, and the command is false.
    let first = lab.run_watched(&BOOTSTRAP, |line| {
        if step(line) == Some(("root", "moving it")) {
            lab.apply("grafana");
            lab.apply("prometheus");
        }
        lab.play(line);
        Next::Go
    });
    let first = first.with_code(4);
    first.line("The lab `default` is up after");
    assert!(first.stdout.contains("argocd"), "{first:#?}");

    // An installed `cargo xtask` hands over to the program beside it.
    let kind = lab
        .run_as("xtask", &["status", "--json"])
        .with_code(0)
        .json();
    let host = lab::Lab::at(&lab.state(), "host");
    host.load_or_create(&lab::Engine::Host).unwrap();
    let mut command = std::process::Command::new(program("xtask"));
    command
        .args(["status", "--json", "--name", "host", "--state"])
        .arg(lab.state())
        .env_remove("LAB_ROOT");
    let host = said(command).with_code(0).json();
    assert_eq!(keys(&kind), keys(&host));
    assert_eq!(
        keys(&kind),
        ["components", "engine", "gitops", "lab", "schema"]
            .map(str::to_owned)
            .into()
    );
    assert_eq!(
        (&kind["engine"], &host["engine"]),
        (&"kind".into(), &"host".into())
    );
    let names = |report: &Value| -> Vec<String> {
        rows(report, "components")
            .map(|row| row["name"].to_string())
            .collect()
    };
    assert_eq!(names(&kind), names(&host));
    let shapes = |report: &Value| -> BTreeSet<_> { rows(report, "components").map(keys).collect() };
    assert_eq!(shapes(&kind), shapes(&host));
    assert_eq!(shapes(&kind).len(), 1);
    let argocd = rows(&kind, "components")
        .find(|row| row["name"] == "argocd")
        .unwrap();
    assert_eq!(argocd["state"], "ready", "{argocd}");
    let applications = rows(&kind["gitops"], "applications");
    assert!(applications.count() > 10, "{kind}");

    let kind = lab.run(&["verify", "--json"]).with_code(4).json();
    // As the host engine's, which the tests of a lab of that engine read.
    assert_eq!(
        keys(&kind),
        [
            "arrows",
            "engine",
            "lab",
            "schema",
            "started_at",
            "summary",
            "took_ms"
        ]
        .map(str::to_owned)
        .into()
    );
    for arrow in rows(&kind, "arrows") {
        assert_eq!(
            keys(arrow),
            [
                "diagram", "evidence", "from", "id", "reason", "remedy", "status", "to", "took_ms"
            ]
            .map(str::to_owned)
            .into()
        );
    }
    let ids: Vec<_> = rows(&kind, "arrows")
        .map(|arrow| arrow["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, blueprint::Arrow::ALL.map(blueprint::Arrow::id));
}

fn keys(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

fn rows<'a>(report: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    report[list].as_array().unwrap().iter()
}
