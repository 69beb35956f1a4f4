//! The renderings of one report with an arrow of each kind.

use serde_json::json;

use super::*;

fn report() -> Report {
    let arrow = |arrow, outcome, took_ms| ArrowReport {
        arrow,
        outcome,
        took_ms,
        falsification: None,
    };
    Report {
        engine: "host".to_owned(),
        lab: "default".to_owned(),
        started_at: "2026-01-02T03:04:05.6Z".parse().unwrap(),
        took_ms: 1834,
        arrows: vec![
            arrow(
                Arrow::ArgocdToLoki,
                Outcome::Absent {
                    reason: "this engine has no Argo CD".to_owned(),
                    remedy: "use the engine kind".to_owned(),
                },
                0,
            ),
            arrow(
                Arrow::PrometheusToGrafanaCorrelation,
                Outcome::Broken {
                    reason: "grafana does not answer <GET /> & \"more\"".to_owned(),
                    remedy: "see `cargo xtask logs grafana`".to_owned(),
                },
                20_000,
            ),
            arrow(
                Arrow::RabbitmqToConsumer,
                Outcome::Proven {
                    evidence: "message 0192 in trace 4bf9 after 3 ms".to_owned(),
                },
                41,
            ),
        ],
    }
}

fn falsified(falsifications: [Falsification; 3]) -> Report {
    let mut report = report();
    for (arrow, falsification) in report.arrows.iter_mut().zip(falsifications) {
        arrow.falsification = Some(falsification);
    }
    report
}

fn stayed_green() -> Falsification {
    Falsification::NotFalsified {
        reason: "the probe stayed green".to_owned(),
    }
}

#[test]
fn the_json_is_that_of_the_documented_schema() {
    let read: serde_json::Value = serde_json::from_str(&report().to_json()).unwrap();
    let expected = json!({
        "schema": 1, "engine": "host", "lab": "default",
        "started_at": "2026-01-02T03:04:05.6Z", "took_ms": 1834,
        "summary": { "proven": 1, "broken": 1, "absent": 1 },
        "arrows": [
            {
                "id": "argocd->loki", "diagram": 1, "from": "argocd", "to": "loki",
                "status": "absent", "evidence": null, "took_ms": 0,
                "reason": "this engine has no Argo CD", "remedy": "use the engine kind",
            },
            {
                "id": "prometheus->grafana (correlation)", "diagram": 4, "from": "prometheus",
                "to": "grafana", "status": "broken", "evidence": null, "took_ms": 20_000,
                "reason": "grafana does not answer <GET /> & \"more\"",
                "remedy": "see `cargo xtask logs grafana`",
            },
            {
                "id": "rabbitmq->consumer", "diagram": 5, "from": "rabbitmq", "to": "consumer",
                "status": "proven", "evidence": "message 0192 in trace 4bf9 after 3 ms",
                "took_ms": 41, "reason": null, "remedy": null,
            },
        ],
    });
    assert_eq!(read, expected);
}

#[test]
fn every_field_of_the_json_is_in_the_documentation() {
    let page = include_str!("../../../../docs/verify.md");
    let report = falsified([stayed_green(), stayed_green(), Falsification::Falsified]);
    let read: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    let arrow = read["arrows"][0].as_object().unwrap().keys();
    let summary = read["summary"].as_object().unwrap().keys();
    for field in read.as_object().unwrap().keys().chain(arrow).chain(summary) {
        assert!(
            page.contains(&format!("`{field}`")),
            "docs/verify.md lacks `{field}`"
        );
    }
}

#[test]
fn after_a_falsification_every_arrow_says_whether_it_was_falsified() {
    let report = falsified([stayed_green(), stayed_green(), Falsification::Falsified]);
    let read: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    let falsified: Vec<_> = (0..3).map(|n| &read["arrows"][n]["falsified"]).collect();
    assert_eq!(falsified, [false, false, true]);
}

#[test]
fn a_proven_arrow_whose_probe_cannot_fail_does_not_hold_and_says_why() {
    let mut report = falsified([stayed_green(), stayed_green(), stayed_green()]);
    report.arrows.remove(1);
    assert!(!report.all_hold());
    let read: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    assert_eq!(read["arrows"][1]["status"], "proven");
    assert_eq!(read["arrows"][1]["reason"], "the probe stayed green");
    assert!(report.to_junit().contains("not-falsified"));
    let style = TableStyle {
        colour: false,
        width: None,
    };
    assert!(report.to_table(style).contains("NOT falsified"));
}

#[test]
fn absent_arrows_neither_hold_nor_fail() {
    let mut report = report();
    assert!(!report.all_hold(), "one is broken");
    report.arrows.remove(1);
    assert!(report.all_hold());
    let mut report = falsified([stayed_green(), stayed_green(), Falsification::Falsified]);
    report.arrows.remove(1);
    assert!(report.all_hold(), "the absent one needs no falsification");
}

#[test]
fn the_table_shows_state_arrow_time_and_words_without_colour() {
    let style = TableStyle {
        colour: false,
        width: None,
    };
    expect_test::expect![[r#"
        1. GitOps
         – absent  argocd->loki    0.00 s  this engine has no Argo CD

        4. Profiles
         ✗ broken  prometheus->grafana (correlation)   20.00 s  grafana does not answer <GET /> & "more"

        5. Workload
         ✓ proven  rabbitmq->consumer    0.04 s  message 0192 in trace 4bf9 after 3 ms

        hint: argocd->loki: use the engine kind
        hint: prometheus->grafana (correlation): see `cargo xtask logs grafana`

        3 arrows of lab default (host): 1 proven, 1 broken, 1 absent; 1.8 s
    "#]]
    .assert_eq(&report().to_table(style));
}

#[test]
fn colour_only_adds_to_the_words_and_long_evidence_is_wrapped() {
    let style = TableStyle {
        colour: true,
        width: Some(60),
    };
    let table = report().to_table(style);
    assert!(table.contains("\u{1b}[32m✓ proven\u{1b}[0m"), "{table}");
    assert!(table.contains("\u{1b}[31m✗ broken\u{1b}[0m"), "{table}");
    let widest = table
        .lines()
        .filter(|line| !line.starts_with("hint") && !line.contains("arrows of lab"))
        .map(|line| line.replace("\u{1b}[32m", "").replace("\u{1b}[31m", ""))
        .map(|line| line.replace("\u{1b}[33m", "").replace("\u{1b}[0m", ""))
        .map(|line| line.chars().count())
        .max();
    assert!(widest <= Some(60), "{table}");
}

#[test]
fn a_remedy_of_many_arrows_is_told_once() {
    let mut report = report();
    let absent = report.arrows[0].clone();
    report.arrows = vec![absent; 6];
    let style = TableStyle {
        colour: false,
        width: None,
    };
    let table = report.to_table(style);
    assert_eq!(table.matches("use the engine kind").count(), 1);
    assert!(table.contains("argocd->loki and 3 more: use"), "{table}");
}

#[test]
fn junit_skips_the_absent_and_fails_the_broken() {
    let junit = report().to_junit();
    assert!(
        junit.contains(r#"tests="3" failures="1" errors="0""#),
        "{junit}"
    );
    assert!(
        junit.contains(r#"<skipped message="this engine has no Argo CD; use the engine kind"/>"#),
        "{junit}"
    );
    assert!(
        junit.contains("grafana does not answer &lt;GET /&gt; &amp; &quot;more&quot;"),
        "{junit}"
    );
    assert!(
        junit.contains(
            r#"<testcase name="rabbitmq-&gt;consumer" classname="verify.workload" time="0.041">"#
        ),
        "{junit}"
    );
    assert!(
        junit.contains("message 0192 in trace 4bf9 after 3 ms"),
        "{junit}"
    );
}

#[test]
fn mermaid_draws_each_arrow_in_its_state() {
    expect_test::expect![[r#"
        # Arrows of lab default (host), 2026-01-02T03:04:05Z

        ## 1. GitOps

        ```mermaid
        flowchart LR
            argocd["argocd"]
            loki["loki"]
            argocd -->|"– absent"| loki
            linkStyle 0 stroke:#9e9e9e,stroke-width:1px,stroke-dasharray:4
        ```

        ## 4. Profiles

        ```mermaid
        flowchart LR
            prometheus["prometheus"]
            grafana["grafana"]
            prometheus -->|"correlation: ✗ broken"| grafana
            linkStyle 0 stroke:#c62828,stroke-width:3px
        ```

        ## 5. Workload

        ```mermaid
        flowchart LR
            rabbitmq["rabbitmq"]
            consumer["consumer"]
            rabbitmq -->|"✓ proven"| consumer
            linkStyle 0 stroke:#2e7d32,stroke-width:2px
        ```
    "#]]
    .assert_eq(&report().to_mermaid());
}
