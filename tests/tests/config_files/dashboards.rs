//! The dashboards as people meet them: complete, in order, each panel with a word of advice, and nothing that this Grafana
//! lacks.

use std::collections::{BTreeMap, BTreeSet};

use lab_tests::{
    config::{files, keys, list, string, text, yaml},
    dashboards::{all, panels, query_variables},
};
use serde_yaml::Value;

use crate::grafana::SOURCES;

const DASHBOARDS: [&str; 7] = [
    "argocd",
    "broker",
    "kubernetes",
    "lab-overview",
    "logs",
    "messaging",
    "nodes",
];

/// The schema of Grafana 12.4: with an older one it changes the dashboard as it loads it.
const SCHEMA: u64 = 42;

/// The tag by which the dashboards find each other.
const TAG: &str = "lab";

/// Panels that come with Grafana; it has no way to fetch others.
const PANELS: [&str; 8] = [
    "bargauge",
    "flamegraph",
    "logs",
    "row",
    "stat",
    "state-timeline",
    "table",
    "timeseries",
];

/// Panels that show numbers, which are nothing without a unit.
const MEASURING: [&str; 3] = ["bargauge", "stat", "timeseries"];

/// The columns of a dashboard.
const COLUMNS: u64 = 24;

/// The fewest words in which a panel can say what it shows and what to do when it looks bad.
const ADVICE_WORDS: usize = 9;

#[test]
fn the_dashboards_are_these_and_each_is_called_as_its_file() {
    let names: Vec<String> = files("grafana/dashboards")
        .iter()
        .map(|file| {
            let name = file
                .strip_prefix("grafana/dashboards/")
                .and_then(|name| name.strip_suffix(".json"))
                .unwrap_or_else(|| panic!("{file} is no dashboard"));
            assert_eq!(string(&yaml(file), "uid"), name);
            name.to_owned()
        })
        .collect();
    assert_eq!(names, DASHBOARDS);
}

#[test]
fn every_dashboard_loads_as_it_is_and_leads_to_the_others() {
    for dashboard in all() {
        let uid = string(&dashboard, "uid");
        assert_eq!(dashboard["schemaVersion"].as_u64(), Some(SCHEMA), "{uid}");
        assert_eq!(dashboard["editable"].as_bool(), Some(false), "{uid}");
        // Grafana numbers and versions them itself; inputs are questions that nobody answers here.
        for key in ["id", "version", "__inputs", "__requires"] {
            assert!(!keys(&dashboard).contains(key), "{uid} has {key}");
        }
        assert!(!string(&dashboard, "description").is_empty(), "{uid}");
        assert!(string(&dashboard, "refresh").ends_with('s'), "{uid}");
        assert!(
            string(&dashboard["time"], "from").starts_with("now-"),
            "{uid}"
        );
        assert_eq!(list(&dashboard["tags"]), [Value::from(TAG)], "{uid}");

        let links = list(&dashboard["links"]);
        assert_eq!(links.len(), 1, "{uid}");
        assert_eq!(string(&links[0], "type"), "dashboards", "{uid}");
        assert_eq!(list(&links[0]["tags"]), [Value::from(TAG)], "{uid}");
        assert_eq!(links[0]["keepTime"].as_bool(), Some(true), "{uid}");
    }
}

#[test]
fn every_question_goes_to_a_known_data_source() {
    let known: BTreeMap<&str, &str> = SOURCES.map(|(uid, kind, _)| (uid, kind)).into();
    for dashboard in all() {
        let uid = string(&dashboard, "uid");
        let annotations = list(&dashboard["annotations"]["list"]).iter();
        for asking in panels(&dashboard)
            .chain(annotations)
            .chain(query_variables(&dashboard))
        {
            let source = &asking["datasource"];
            let kind = known.get(string(source, "uid")).copied();
            assert_eq!(kind, Some(string(source, "type")), "{uid}: {source:?}");
        }
    }
}

#[test]
fn every_panel_tells_what_to_do_and_shows_its_unit() {
    for dashboard in all() {
        let uid = string(&dashboard, "uid");
        for panel in panels(&dashboard) {
            let place = format!("{uid}: {}", string(panel, "title"));
            let description = string(panel, "description");
            let words = description.split_whitespace().count();
            assert!(
                words >= ADVICE_WORDS && description.ends_with(['.', '?']),
                "{place}"
            );
            assert!(!list(&panel["targets"]).is_empty(), "{place}");
            let defaults = &panel["fieldConfig"]["defaults"];
            if MEASURING.contains(&string(panel, "type")) {
                assert!(!string(defaults, "unit").is_empty(), "{place}");
            }
            let mut last = f64::NEG_INFINITY;
            for (number, step) in list(&defaults["thresholds"]["steps"]).iter().enumerate() {
                let value = step["value"].as_f64();
                assert_eq!(value.is_none(), number == 0, "{place}: {step:?}");
                assert!(value.unwrap_or(last) >= last, "{place}: {step:?}");
                last = value.unwrap_or(last);
            }
        }
    }
}

#[test]
fn series_that_share_a_panel_have_names() {
    for dashboard in all() {
        for panel in panels(&dashboard) {
            if !["timeseries", "state-timeline", "bargauge"].contains(&string(panel, "type")) {
                continue;
            }
            let mut legends = BTreeSet::new();
            for target in list(&panel["targets"]) {
                let legend = string(target, "legendFormat");
                let place = string(panel, "title");
                assert!(
                    !legend.is_empty() && legends.insert(legend),
                    "{place}: `{legend}`"
                );
            }
        }
    }
}

/// Left, right, top and bottom edge.
fn edges(panel: &Value) -> [u64; 4] {
    let of = |key: &str| {
        let place = &panel["gridPos"];
        place[key].as_u64().unwrap_or_else(|| panic!("{place:?}"))
    };
    [of("x"), of("x") + of("w"), of("y"), of("y") + of("h")]
}

#[test]
fn panels_are_numbered_in_reading_order_and_leave_no_gap() {
    for dashboard in all() {
        let uid = string(&dashboard, "uid");
        let mut covered = BTreeMap::new();
        let mut last = (0, 0);
        for (number, panel) in (1..).zip(list(&dashboard["panels"])) {
            let place = format!("{uid}: {}", string(panel, "title"));
            assert!(PANELS.contains(&string(panel, "type")), "{place}");
            assert_eq!(panel["id"].as_u64(), Some(number), "{place}");
            let [left, right, top, bottom] = edges(panel);
            assert!(right <= COLUMNS && (top, left) >= last, "{place}");
            last = (top, left);
            for cell in (top..bottom).flat_map(|y| (left..right).map(move |x| (y, x))) {
                let other = covered.insert(cell, place.clone());
                assert_eq!(other, None, "{place} lies on another panel");
            }
        }
        let rows = covered.keys().map(|(y, _)| y + 1).max().unwrap_or(0);
        assert_eq!(covered.len() as u64, rows * COLUMNS, "{uid} has a gap");
    }
}

#[test]
fn no_panel_is_there_twice() {
    for dashboard in all() {
        let uid = string(&dashboard, "uid");
        let mut seen = BTreeSet::new();
        for panel in panels(&dashboard) {
            let asked: Vec<String> = list(&panel["targets"])
                .iter()
                .map(|target| format!("{target:?}"))
                .collect();
            let panel_type = string(panel, "type");
            let title = string(panel, "title");
            assert!(seen.insert((panel_type, asked)), "{uid}: {title}");
        }
    }
}

#[test]
fn dashboards_are_written_for_people() {
    for file in files("grafana/dashboards") {
        let text = text(&file);
        // What fits on a line stands on one, and each file can be read in a sitting.
        let lines = text.lines().count();
        assert!(lines < 900, "{file} has {lines} lines");
        assert!(text.ends_with("}\n") && !text.contains('\t'), "{file}");
    }
}
