//! Every question of the dashboards and the rules: it can be read, and it asks for what is there.

use std::{collections::BTreeSet, fs, process::Command};

use blueprint::Component;
use lab_tests::{
    config::{accept, list, string},
    dashboards::{self, filled, queries},
    promql::{expressions, labels, parse, selections, unknown_labels},
    require::program,
    rules,
    scraped::Scraped,
};
use promql_parser::parser::Expr;
use serde_yaml::{Mapping, Value};
use tempfile::TempDir;

/// Functions that take the difference of samples for an increase.
const OF_COUNTERS: [&str; 3] = ["rate", "increase", "irate"];

fn parsed() -> impl Iterator<Item = (String, Expr)> {
    expressions().into_iter().map(|(place, text)| {
        let expr = parse(&text).unwrap_or_else(|error| panic!("{place}: {error}\n{text}"));
        (place, expr)
    })
}

#[test]
fn every_expression_is_promql() {
    let count = parsed().count();
    assert!(count > 200, "only {count} expressions were found");
}

#[test]
fn every_metric_is_on_a_real_scrape_of_every_version() {
    let scraped = Scraped::read();
    let mut objections = BTreeSet::new();
    for (place, expr) in parsed() {
        for selection in selections(&expr) {
            if let Some(objection) = scraped.objection(&selection.series) {
                objections.insert(format!("{place}: {objection}"));
            }
        }
    }
    assert!(objections.is_empty(), "{objections:#?}");
}

#[test]
fn every_label_is_one_of_the_metrics_that_it_stands_by() {
    let scraped = Scraped::read();
    let of_series = |series: &str| scraped.labels(series);
    let mut objections = BTreeSet::new();
    for (place, expr) in parsed() {
        for selection in selections(&expr) {
            let Some(known) = scraped.labels(&selection.series) else {
                continue;
            };
            for label in selection.matched.difference(&known) {
                objections.insert(format!("{place}: {} has no `{label}`", selection.series));
            }
        }
        for unknown in unknown_labels(&expr, &of_series) {
            objections.insert(format!("{place}: no {unknown}"));
        }
    }
    assert!(objections.is_empty(), "{objections:#?}");
}

#[test]
fn rates_are_taken_of_counters_only() {
    let scraped = Scraped::read();
    for (place, expr) in parsed() {
        for selection in selections(&expr) {
            let is_rate = selection
                .function
                .is_some_and(|name| OF_COUNTERS.contains(&name.as_str()));
            // Whatever runs only in a version with another type is told by the test above.
            assert!(
                !is_rate || scraped.is_counted(&selection.series),
                "{place}: {} is no counter",
                selection.series
            );
        }
    }
}

/// The labels that a template names, in the form that a pattern such as `$labels.` or `{{` introduces.
fn names_after<'a>(text: &'a str, marker: &str) -> impl Iterator<Item = &'a str> {
    text.split(marker).skip(1).map(|rest| {
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn legends_name_labels_that_their_series_have() {
    let scraped = Scraped::read();
    for query in queries() {
        let (Some(legend), "prometheus") = (&query.legend, query.source.as_str()) else {
            continue;
        };
        let expr = parse(&filled(&query.text)).expect("PromQL");
        let Some(known) = labels(&expr, &|series| scraped.labels(series)) else {
            continue;
        };
        for name in names_after(legend, "{{") {
            assert!(
                known.contains(name),
                "{}: no `{name}` in {known:?}",
                query.place
            );
        }
    }
}

#[test]
fn alerts_speak_of_labels_that_they_have() {
    let scraped = Scraped::read();
    for alert in rules::alerts() {
        let name = string(&alert, "alert");
        let expr = parse(string(&alert, "expr")).expect("PromQL");
        let Some(known) = labels(&expr, &|series| scraped.labels(series)) else {
            continue;
        };
        for annotation in ["summary", "description"] {
            let text = string(&alert["annotations"], annotation);
            for label in names_after(text, "$labels.") {
                assert!(known.contains(label), "{name}: no `{label}` in {known:?}");
            }
        }
    }
}

/// No Grafana was at hand to be read; nothing asks for what only it has.
const UNREAD: [Component; 1] = [Component::Grafana];

#[test]
fn every_component_that_is_scraped_has_a_list_of_its_metrics() {
    let listed = Scraped::read().components();
    let missing: Vec<Component> = Component::ALL
        .into_iter()
        .filter(|component| !listed.contains(component))
        .collect();
    assert_eq!(missing, UNREAD);
}

#[test]
fn promtool_accepts_every_query_of_the_dashboards() {
    let Some(promtool) = program("promtool_accepts_every_query_of_the_dashboards", "promtool")
    else {
        return;
    };
    let rules: Vec<Value> = queries()
        .iter()
        .filter(|query| query.source == "prometheus")
        .enumerate()
        .map(|(number, query)| {
            let mut rule = Mapping::new();
            rule.insert("record".into(), format!("query_{number}").into());
            rule.insert("expr".into(), filled(&query.text).into());
            Value::from(rule)
        })
        .collect();
    let mut group = Mapping::new();
    group.insert("name".into(), "dashboards".into());
    group.insert("rules".into(), rules.into());
    let mut file = Mapping::new();
    file.insert("groups".into(), vec![Value::from(group)].into());
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("queries.yml");
    fs::write(&path, serde_yaml::to_string(&file).expect("YAML")).expect("a file");

    accept(Command::new(promtool).args(["check", "rules"]).arg(path));
}

#[test]
fn every_variable_in_a_query_is_declared() {
    for dashboard in dashboards::all() {
        let uid = string(&dashboard, "uid");
        let declared: BTreeSet<&str> = list(&dashboard["templating"]["list"])
            .iter()
            .map(|variable| string(variable, "name"))
            .collect();
        let mut used = BTreeSet::new();
        for query in queries()
            .iter()
            .filter(|query| query.place.starts_with(uid))
        {
            for name in names_after(&query.text, "$") {
                let is_variable = name.starts_with(|c: char| c.is_ascii_lowercase());
                if is_variable {
                    assert!(declared.contains(name), "{}: ${name}", query.place);
                    used.insert(name.to_owned());
                }
            }
        }
        for name in declared {
            assert!(
                used.contains(name),
                "{uid} declares ${name} and never uses it"
            );
        }
    }
}
