//! What a program offers to be scraped: the names of its metrics with type and labels, read from its exposition or from
//! the lists under `tests/fixtures/metrics/`, which were made of expositions.
//!
//! A list has one metric a line, `<type> <name> [<label>,<label>...]`; lines that begin with `#` tell where it is from.
//! Histograms and summaries stand under the name of the whole, without `_bucket`, `_sum` and `_count`.
//!
//! Source: Prometheus, "Exposition formats", text-based format 0.0.4.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

/// A metric as its program describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metric {
    /// `counter`, `gauge`, `histogram`, `summary` or `untyped`.
    pub kind: String,
    /// The labels of any of its series, without `le` and `quantile`.
    pub labels: BTreeSet<String>,
}

impl Metric {
    /// The series that a metric of this name and type has, each with the label that its type adds.
    pub fn series(&self, name: &str) -> Vec<(String, Option<&'static str>)> {
        match self.kind.as_str() {
            "histogram" => vec![
                (format!("{name}_bucket"), Some("le")),
                (format!("{name}_sum"), None),
                (format!("{name}_count"), None),
            ],
            "summary" => vec![
                (name.to_owned(), Some("quantile")),
                (format!("{name}_sum"), None),
                (format!("{name}_count"), None),
            ],
            _ => vec![(name.to_owned(), None)],
        }
    }
}

/// Metrics by name.
pub type Metrics = BTreeMap<String, Metric>;

/// The metrics of an exposition that have a series; some programs declare more.
pub fn exposed(text: &str) -> Metrics {
    let mut kinds = BTreeMap::new();
    let mut metrics = Metrics::new();
    for line in text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            kinds.extend(declared.trim_end().split_once(' '));
        } else if !line.is_empty() && !line.starts_with('#') {
            let end = line.find(['{', ' ']).unwrap_or(line.len());
            let (series, rest) = line.split_at(end);
            let name = metric_of(&kinds, series);
            let metric = metrics.entry(name.to_owned()).or_default();
            metric.kind = kinds.get(name).copied().unwrap_or("untyped").to_owned();
            metric
                .labels
                .extend(rest.strip_prefix('{').map(label_names).unwrap_or_default());
        }
    }
    metrics
}

/// The declared metric that a series belongs to; without one, the series itself.
fn metric_of<'a>(kinds: &BTreeMap<&str, &str>, series: &'a str) -> &'a str {
    if kinds.contains_key(series) {
        return series;
    }
    ["_bucket", "_sum", "_count"]
        .iter()
        .filter_map(|suffix| series.strip_suffix(suffix))
        .find(|name| kinds.contains_key(name))
        .unwrap_or(series)
}

/// The names of the labels behind an opening brace.
fn label_names(mut rest: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    while let Some((name, value)) = rest.split_once("=\"") {
        let name = name.trim_start_matches([',', ' ']);
        if !matches!(name, "le" | "quantile") {
            names.insert(name.to_owned());
        }
        let mut escaped = false;
        let end = value.find(|c| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        });
        rest = end.map_or("", |end| &value[end + 1..]);
        if rest.starts_with('}') {
            break;
        }
    }
    names
}

/// The metrics of a list. One that stands in it twice, of two programs of one component, has the labels of both.
///
/// # Panics
/// When a line has another form.
pub fn listed(text: &str) -> Metrics {
    let mut metrics = Metrics::new();
    for line in text.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split(' ');
        let (Some(kind), Some(name), labels, None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            panic!("`{line}` is not `<type> <name> [<label>,...]`");
        };
        let metric = metrics.entry(name.to_owned()).or_default();
        metric.kind = kind.to_owned();
        metric.labels.extend(
            labels
                .into_iter()
                .flat_map(|labels| labels.split(','))
                .map(str::to_owned),
        );
    }
    metrics
}

/// The list of these metrics.
pub fn list(metrics: &Metrics) -> String {
    let mut list = String::new();
    for (name, metric) in metrics {
        let labels: Vec<&str> = metric.labels.iter().map(String::as_str).collect();
        let gap = if labels.is_empty() { "" } else { " " };
        // Writing to a string does not fail.
        let _ = writeln!(list, "{} {name}{gap}{}", metric.kind, labels.join(","));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPOSITION: &str = r#"
# HELP a_seconds Time.
# TYPE a_seconds histogram
a_seconds_bucket{code="200",le="+Inf"} 2
a_seconds_sum{code="200"} 3
a_seconds_count{code="200"} 2
# TYPE a_seconds_count_of_nothing gauge
a_seconds_count_of_nothing 0
# TYPE queue gauge
queue{vhost="lab",queue="with \"quotes\", and }"} 7 1395066363000
bare{x="y",} 1
# TYPE declared_only counter
"#;

    const LIST: &str = "\
histogram a_seconds code
gauge a_seconds_count_of_nothing
untyped bare x
gauge queue queue,vhost
";

    #[test]
    fn an_exposition_becomes_a_list_and_a_list_is_read_back() {
        let metrics = exposed(EXPOSITION);
        assert_eq!(list(&metrics), LIST);
        assert_eq!(listed(LIST), metrics);
    }

    #[test]
    fn what_two_programs_have_is_merged() {
        let metrics = listed("# one\ncounter a x\n# other\ncounter a y\n");
        assert_eq!(list(&metrics), "counter a x,y\n");
    }

    #[test]
    fn a_histogram_has_three_series_and_a_gauge_one() {
        let metrics = listed(LIST);
        let series = |name: &str| metrics[name].series(name).len();
        assert_eq!((series("a_seconds"), series("queue")), (3, 1));
    }
}
