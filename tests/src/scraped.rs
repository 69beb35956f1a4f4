//! The series that Prometheus has of each component: what the lists under `tests/fixtures/metrics/` say that its program
//! offers, without what `prometheus.yml` drops, and what Prometheus makes itself.
//!
//! A list is `<component>/<version>.txt`. A component may have several, of the versions that one engine or another runs;
//! a query has to work with each.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use blueprint::Component;
use regex::Regex;
use serde_yaml::Value;

use crate::{
    config::{keys, list, string, yaml},
    metric_list::{Metric, listed},
    promql::{self, Labels},
    rules,
};

/// What every target has; the host engine knows no `node`.
const TARGET_LABELS: [&str; 5] = ["job", "instance", "namespace", "pod", "container"];

/// What the targets of producer and consumer have as well.
const SERVICE_NAME: &str = "service_name";

/// What the probed services have in place of a pod.
const PROBE_LABELS: [&str; 2] = ["service", "module"];

/// Made by Prometheus for every target.
const OF_EVERY_TARGET: [&str; 5] = [
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
];

/// Made by Prometheus for every alert, with the labels of that alert.
const OF_EVERY_ALERT: [&str; 2] = ["ALERTS", "ALERTS_FOR_STATE"];

/// A series as it lies in Prometheus.
#[derive(Clone, Debug)]
struct Series {
    kind: String,
    labels: Labels,
}

/// Everything that Prometheus has.
#[derive(Clone, Debug)]
pub struct Scraped {
    /// By component and version.
    components: BTreeMap<(Component, String), BTreeMap<String, Series>>,
    made: BTreeMap<String, Series>,
}

impl Scraped {
    /// Reads the lists, the scrape jobs and the recording rules.
    ///
    /// # Panics
    /// When one of them cannot be read.
    pub fn read() -> Self {
        let jobs = yaml("prometheus/prometheus.yml");
        let jobs: BTreeMap<&str, &Value> = list(&jobs["scrape_configs"])
            .iter()
            .map(|job| (string(job, "job_name"), job))
            .collect();
        let components = lists()
            .into_iter()
            .map(|(component, version, text)| {
                let job = jobs[component.name()];
                ((component, version), of_job(component, job, &text))
            })
            .collect();
        let mut scraped = Self {
            components,
            made: made_by_prometheus(),
        };
        scraped.record();
        scraped
    }

    /// Adds what the recording rules record. Twice, because a rule may read what another one records.
    fn record(&mut self) {
        for _ in 0..2 {
            for rule in rules::all() {
                let Some(name) = rule["record"].as_str() else {
                    continue;
                };
                let text = string(&rule, "expr");
                let expr = promql::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
                let labels = promql::labels(&expr, &|series| self.labels(series))
                    .map(|labels| &labels | &keys(&rule["labels"]));
                let known = self.made.get(name).and_then(|series| series.labels.clone());
                let series = Series {
                    kind: "gauge".to_owned(),
                    // Several rules may record under one name.
                    labels: match (labels, known) {
                        (Some(labels), Some(known)) => Some(&labels | &known),
                        (labels, known) => labels.or(known),
                    },
                };
                self.made.insert(name.to_owned(), series);
            }
        }
    }

    /// The components that have a list.
    pub fn components(&self) -> BTreeSet<Component> {
        self.components
            .keys()
            .map(|(component, _)| *component)
            .collect()
    }

    /// Everything that any version of a component has.
    pub fn series_of(&self, component: Component) -> BTreeSet<&str> {
        self.components
            .iter()
            .filter(|((owner, _), _)| *owner == component)
            .flat_map(|(_, known)| known.keys().map(String::as_str))
            .collect()
    }

    fn all(&self, series: &str) -> impl Iterator<Item = &Series> {
        let scraped = self.components.values();
        scraped
            .chain([&self.made])
            .filter_map(move |known| known.get(series))
    }

    /// The labels of a series; `None` where nothing is known of them.
    pub fn labels(&self, series: &str) -> Labels {
        let mut labels = BTreeSet::new();
        let mut known = false;
        for found in self.all(series) {
            labels.extend(found.labels.clone()?);
            known = true;
        }
        known.then_some(labels)
    }

    /// Whether a series only ever grows, so that its rate means something; of some that do, their programs do not say so.
    pub fn is_counted(&self, series: &str) -> bool {
        self.all(series)
            .all(|found| matches!(found.kind.as_str(), "counter" | "untyped"))
    }

    /// What is wrong with a series that a query names, if anything: nobody has it, or only some versions of those
    /// components that have it.
    pub fn objection(&self, series: &str) -> Option<String> {
        if self.made.contains_key(series) {
            return None;
        }
        let has = |known: &BTreeMap<String, Series>| known.contains_key(series);
        let owners: BTreeSet<Component> = self
            .components
            .iter()
            .filter(|(_, known)| has(known))
            .map(|((component, _), _)| *component)
            .collect();
        if owners.is_empty() {
            return Some(format!("`{series}` is on no scrape"));
        }
        // What every Go program has may be missing in a version of one of them.
        if owners.len() > 2 {
            return None;
        }
        self.components
            .iter()
            .find(|((component, _), known)| owners.contains(component) && !has(known))
            .map(|((component, version), _)| format!("{component} {version} has no `{series}`"))
    }
}

/// Every list: component, version, text.
fn lists() -> Vec<(Component, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/metrics");
    let entries = |path: &Path| -> Vec<_> {
        fs::read_dir(path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
            .map(|entry| entry.expect("a directory entry").path())
            .collect()
    };
    let mut lists = Vec::new();
    for directory in entries(&root) {
        let name = directory.file_name().and_then(|name| name.to_str());
        let component = name
            .and_then(|name| name.parse().ok())
            .unwrap_or_else(|| panic!("{} is no component", directory.display()));
        for file in entries(&directory) {
            let version = file.file_stem().and_then(|stem| stem.to_str());
            let version = version.expect("a version").to_owned();
            let text = fs::read_to_string(&file).expect("a list of metrics");
            lists.push((component, version, text));
        }
    }
    lists
}

/// The series of a list as the component's job takes them in.
fn of_job(component: Component, job: &Value, text: &str) -> BTreeMap<String, Series> {
    let honors_labels = job["honor_labels"].as_bool() == Some(true);
    let drops: Vec<Drop> = list(&job["metric_relabel_configs"])
        .iter()
        .map(Drop::read)
        .collect();
    let mut known = BTreeMap::new();
    for (name, metric) in listed(text) {
        for (series, extra) in metric.series(&name) {
            if drops.iter().any(|drop| drop.takes(&series, &metric)) {
                continue;
            }
            let mut labels: BTreeSet<String> = TARGET_LABELS.map(str::to_owned).into();
            for label in &metric.labels {
                if labels.contains(label) && !honors_labels {
                    labels.insert(format!("exported_{label}"));
                } else {
                    labels.insert(label.clone());
                }
            }
            labels.extend(extra.map(str::to_owned));
            match component {
                Component::Producer | Component::Consumer => {
                    labels.insert(SERVICE_NAME.to_owned());
                }
                Component::Blackbox if series.starts_with("probe_") => {
                    labels.extend(PROBE_LABELS.map(str::to_owned));
                }
                _ => {}
            }
            let kind = match metric.kind.as_str() {
                "histogram" | "summary" if series != name => "counter",
                kind => kind,
            };
            known.insert(
                series,
                Series {
                    kind: kind.to_owned(),
                    labels: Some(labels),
                },
            );
        }
    }
    known
}

/// A rule of `metric_relabel_configs` that drops series.
struct Drop {
    label: String,
    pattern: Regex,
}

impl Drop {
    fn read(rule: &Value) -> Self {
        assert_eq!(string(rule, "action"), "drop", "{rule:?}");
        let label = rule["source_labels"][0].as_str().expect("a label");
        let pattern = format!("^(?:{})$", string(rule, "regex"));
        Self {
            label: label.to_owned(),
            pattern: Regex::new(&pattern).unwrap_or_else(|error| panic!("{pattern}: {error}")),
        }
    }

    fn takes(&self, series: &str, metric: &Metric) -> bool {
        if self.label == "__name__" {
            return self.pattern.is_match(series);
        }
        // Which values a label has the lists do not say; the rules drop any.
        metric.labels.contains(&self.label)
    }
}

fn made_by_prometheus() -> BTreeMap<String, Series> {
    let labels = TARGET_LABELS
        .iter()
        .chain(&PROBE_LABELS)
        .chain([&SERVICE_NAME]);
    let labels: BTreeSet<String> = labels.map(|&label| label.to_owned()).collect();
    let gauge = |labels: &Labels| Series {
        kind: "gauge".to_owned(),
        labels: labels.clone(),
    };
    let of_targets = OF_EVERY_TARGET.map(|name| (name.to_owned(), gauge(&Some(labels.clone()))));
    let of_alerts = OF_EVERY_ALERT.map(|name| (name.to_owned(), gauge(&None)));
    of_targets.into_iter().chain(of_alerts).collect()
}
