//! The dashboards under `manifests/grafana/dashboards/`, and every query in them.

use serde_yaml::Value;

use crate::config::{files, list, string, yaml};

/// A question that a dashboard asks a data source.
#[derive(Clone, Debug)]
pub struct Query {
    /// Dashboard and panel, as a failing test names them.
    pub place: String,
    /// The uid of the data source.
    pub source: String,
    /// The expression, with Grafana's variables in it.
    pub text: String,
    /// How the series are called.
    pub legend: Option<String>,
}

/// Every dashboard.
///
/// # Panics
/// When a file cannot be read.
pub fn all() -> Vec<Value> {
    let files = files("grafana/dashboards");
    files.iter().map(|file| yaml(file)).collect()
}

/// The panels of a dashboard without its rows.
pub fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(&dashboard["panels"])
        .iter()
        .filter(|panel| string(panel, "type") != "row")
}

/// The variables that are filled by a question to a data source.
pub fn query_variables(dashboard: &Value) -> impl Iterator<Item = &Value> {
    list(&dashboard["templating"]["list"])
        .iter()
        .filter(|variable| string(variable, "type") == "query")
}

/// Every expression of every dashboard: of its panels, its annotations and its variables.
///
/// # Panics
/// When a file cannot be read or a panel has no data source.
pub fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    for dashboard in all() {
        let uid = string(&dashboard, "uid");
        for panel in panels(&dashboard) {
            for target in list(&panel["targets"]) {
                // Profiles are asked for by type and labels, not by an expression.
                let Some(expr) = target["expr"].as_str() else {
                    continue;
                };
                queries.push(Query {
                    place: format!("{uid}: {}", string(panel, "title")),
                    source: string(&panel["datasource"], "uid").to_owned(),
                    text: expr.to_owned(),
                    legend: target["legendFormat"].as_str().map(str::to_owned),
                });
            }
        }
        for annotation in list(&dashboard["annotations"]["list"]) {
            queries.push(Query {
                place: format!("{uid}: annotation {}", string(annotation, "name")),
                source: string(&annotation["datasource"], "uid").to_owned(),
                text: string(annotation, "expr").to_owned(),
                legend: None,
            });
        }
        for variable in query_variables(&dashboard) {
            if let Some(question) = variable["query"]["query"].as_str() {
                queries.push(Query {
                    place: format!("{uid}: variable {}", string(variable, "name")),
                    source: string(&variable["datasource"], "uid").to_owned(),
                    text: expression(question).to_owned(),
                    legend: None,
                });
            }
        }
    }
    queries
}

/// The expression inside of `label_values(<expression>, <label>)` and `query_result(<expression>)`.
fn expression(question: &str) -> &str {
    let inner = question
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .unwrap_or_else(|| panic!("`{question}` is no question for a variable"));
    match inner.rsplit_once(", ") {
        Some((expression, _)) if question.starts_with("label_values") => expression,
        _ => inner,
    }
}

/// An expression with Grafana's variables replaced by what they may stand for.
pub fn filled(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        let end = after
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(after.len());
        match &after[..end] {
            "__rate_interval" | "__interval" | "__auto" => filled.push_str("1m"),
            "__range" => filled.push_str("1h"),
            // A group of a regular expression, as in `label_replace`.
            name if name.starts_with(|c: char| c.is_ascii_digit()) || name.is_empty() => {
                filled.push('$');
                filled.push_str(name);
            }
            _ => filled.push_str(".+"),
        }
        rest = &after[end..];
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_and_groups_stay() {
        assert_eq!(
            filled(
                r#"label_replace(rate(a{b=~"$node"}[$__rate_interval]), "x", "$1", "b", "(.+)$")"#
            ),
            r#"label_replace(rate(a{b=~".+"}[1m]), "x", "$1", "b", "(.+)$")"#
        );
    }

    #[test]
    fn the_expression_of_a_variable_is_found() {
        assert_eq!(expression(r#"label_values(a{b="c"}, d)"#), r#"a{b="c"}"#);
        assert_eq!(
            expression("query_result(max by (a, b) (c))"),
            "max by (a, b) (c)"
        );
    }
}
