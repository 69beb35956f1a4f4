//! The rules as people meet them: every alert explains itself and is tested in both directions.

use std::collections::BTreeSet;

use blueprint::Arrow;
use lab_tests::{
    config::{list, string, text, yaml},
    rules::{alerts, all, by_file},
};
use serde_yaml::Value;

const SEVERITIES: [&str; 3] = ["critical", "warning", "info"];

/// The alert that always fires, so that its arrival proves the way.
const WATCHDOG: &str = "Watchdog";

#[test]
fn every_alert_says_how_bad_it_is_what_it_is_and_what_to_do() {
    let alerts = alerts();
    assert!(alerts.len() > 30, "only {} alerts", alerts.len());
    for alert in alerts {
        let name = string(&alert, "alert");
        let severity = string(&alert["labels"], "severity");
        if name == WATCHDOG {
            assert_eq!(severity, "none");
        } else {
            assert!(SEVERITIES.contains(&severity), "{name} is {severity}");
        }
        let summary = string(&alert["annotations"], "summary");
        let description = string(&alert["annotations"], "description");
        assert!(summary.len() > 10 && !summary.ends_with('.'), "{name}");
        assert!(description.split_whitespace().count() > 10, "{name}");
    }
}

#[test]
fn no_two_alerts_share_a_name() {
    let alerts = alerts();
    let names: BTreeSet<&str> = alerts.iter().map(|alert| string(alert, "alert")).collect();
    assert_eq!(names.len(), alerts.len());
}

/// What a question to the unit tests says of an alert: it fires, or others do and it does not.
fn answers(test_file: &Value, alert: &str) -> (bool, bool) {
    let marker = format!("alertname=\"{alert}\"");
    let mut answers = (false, false);
    for case in list(&test_file["tests"]) {
        for question in list(&case["promql_expr_test"]) {
            if !string(question, "expr").contains("ALERTS") {
                continue;
            }
            let fires = list(&question["exp_samples"])
                .iter()
                .any(|sample| string(sample, "labels").contains(&marker));
            answers.0 |= fires;
            answers.1 |= !fires;
        }
    }
    answers
}

#[test]
fn every_alert_is_tested_to_fire_and_to_stay_silent() {
    for (file, rules) in by_file() {
        let tests = file.replace("prometheus/rules", "prometheus/tests");
        for rule in rules {
            let Some(alert) = rule["alert"].as_str() else {
                continue;
            };
            let (fires, stays_silent) = answers(&yaml(&tests), alert);
            assert!(fires, "{tests} never lets {alert} fire");
            assert!(stays_silent, "{tests} never shows {alert} silent");
        }
    }
}

#[test]
fn the_arrows_of_the_rules_are_arrows_of_the_blueprint() {
    let mut named = BTreeSet::new();
    for rule in all() {
        if let Some(arrow) = rule["labels"]["arrow"].as_str() {
            named.insert(arrow.to_owned());
        }
    }
    // Those that a rule makes of job names stand in its unit test.
    let test = text("prometheus/tests/arrows.yml");
    for part in test.split("arrow=\"").skip(1) {
        named.extend(part.split('"').next().map(str::to_owned));
    }
    assert!(named.len() > 15, "{named:?}");
    for arrow in named {
        let found: Result<Arrow, _> = arrow.parse();
        assert!(found.is_ok(), "`{arrow}`: {found:?}");
    }
}
