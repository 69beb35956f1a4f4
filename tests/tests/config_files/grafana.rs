//! Grafana's settings and provisioning: nobody unknown, nothing fetched, data sources by fixed uid, links between them.

use std::collections::{BTreeMap, BTreeSet};

use blueprint::Component;
use lab_tests::config::{files, list, string, text, yaml};
use serde_yaml::Value;

/// The data sources: uid, Grafana's type, component.
pub(crate) const SOURCES: [(&str, &str, Component); 4] = [
    ("prometheus", "prometheus", Component::Prometheus),
    ("loki", "loki", Component::Loki),
    (
        "pyroscope",
        "grafana-pyroscope-datasource",
        Component::Pyroscope,
    ),
    ("alertmanager", "alertmanager", Component::Alertmanager),
];

/// Every `key = value` of `grafana.ini`, as `section.key`.
fn settings() -> BTreeMap<String, String> {
    let mut section = String::new();
    let mut settings = BTreeMap::new();
    for line in text("grafana/grafana.ini").lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((key, value)) = line.split_once('=')
            && !line.starts_with(';')
        {
            settings.insert(format!("{section}.{}", key.trim()), value.trim().to_owned());
        }
    }
    settings
}

#[test]
fn grafana_lets_nobody_in_unknown_and_fetches_nothing() {
    let settings = settings();
    for (key, value) in [
        ("auth.anonymous.enabled", "false"),
        ("users.allow_sign_up", "false"),
        ("security.disable_gravatar", "true"),
        ("analytics.reporting_enabled", "false"),
        ("analytics.check_for_updates", "false"),
        ("analytics.check_for_plugin_updates", "false"),
        ("news.news_feed_enabled", "false"),
        ("plugins.preinstall_disabled", "true"),
        ("plugins.plugin_admin_enabled", "false"),
        ("snapshots.external_enabled", "false"),
    ] {
        assert_eq!(settings.get(key).map(String::as_str), Some(value), "{key}");
    }
}

fn sources() -> Vec<Value> {
    files("grafana/provisioning/datasources")
        .iter()
        .flat_map(|file| list(&yaml(file)["datasources"]).to_vec())
        .collect()
}

#[test]
fn the_data_sources_have_fixed_uids_and_lead_to_their_components() {
    let sources = sources();
    assert_eq!(sources.len(), SOURCES.len());
    for (source, (uid, kind, component)) in sources.iter().zip(SOURCES) {
        assert_eq!(string(source, "uid"), uid);
        assert_eq!(string(source, "type"), kind);
        assert_eq!(string(source, "access"), "proxy");
        let port = component.ports()[0].number;
        let url = format!("http://{}:{port}", component.service_host());
        assert_eq!(string(source, "url"), url);
        assert_eq!(source["editable"].as_bool(), Some(false));
    }
    let default = sources
        .iter()
        .filter(|source| source["isDefault"].as_bool() == Some(true));
    assert_eq!(default.count(), 1);
}

#[test]
fn the_links_between_data_sources_are_complete_and_lead_somewhere() {
    let uids = SOURCES.map(|(uid, ..)| uid);
    let mut links = BTreeSet::new();
    for source in sources() {
        let from = string(&source, "uid");
        for correlation in list(&source["correlations"]) {
            // Grafana does not start where label or description are missing.
            for key in ["label", "description", "targetUID", "type"] {
                assert!(!string(correlation, key).is_empty(), "{from}: {key}");
            }
            assert!(!string(&correlation["config"], "field").is_empty());
            assert!(correlation["config"]["target"].is_mapping());
            links.insert((from.to_owned(), string(correlation, "targetUID").to_owned()));
        }
        for field in list(&source["jsonData"]["derivedFields"]) {
            let url = string(field, "url").replace("$$", "$");
            let (_, panes) = url.split_once("panes=").expect("an address in Explore");
            let panes: serde_json::Value = serde_json::from_str(panes).expect("JSON");
            let to = panes["a"]["datasource"].as_str().expect("a data source");
            links.insert((from.to_owned(), to.to_owned()));
        }
        if let Some(uid) = source["jsonData"]["alertmanagerUid"].as_str() {
            links.insert((from.to_owned(), uid.to_owned()));
        }
    }
    for (from, to) in &links {
        assert!(uids.contains(&to.as_str()), "{from} links to `{to}`");
    }
    for (from, to) in [
        ("prometheus", "pyroscope"),
        ("prometheus", "loki"),
        ("loki", "pyroscope"),
        ("loki", "loki"),
    ] {
        assert!(
            links.contains(&(from.to_owned(), to.to_owned())),
            "{from} -> {to}"
        );
    }
}

#[test]
fn a_dollar_that_is_no_variable_is_written_twice() {
    for file in files("grafana/provisioning") {
        for line in text(&file).lines().filter(|line| !line.contains("LAB_")) {
            let single = line.replace("$$", "");
            assert!(!single.contains('$'), "{file}: {line}");
        }
    }
}

#[test]
fn the_provider_finds_the_dashboards_where_the_engine_says() {
    let provider = yaml("grafana/provisioning/dashboards/lab.yaml");
    let provider = &list(&provider["providers"])[0];
    assert_eq!(string(provider, "type"), "file");
    assert_eq!(provider["allowUiUpdates"].as_bool(), Some(false));
    assert_eq!(string(&provider["options"], "path"), "$LAB_DASHBOARDS");
}
