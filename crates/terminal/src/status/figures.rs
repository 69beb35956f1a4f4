//! The figures that `status --watch` shows, asked of Prometheus and Alertmanager.

use std::fmt::Write as _;

use anyhow::Context as _;
use reqwest::Client;
use serde_json::Value;

/// A figure: its name, its PromQL, and how its value is written.
struct Figure {
    name: &'static str,
    query: &'static str,
    unit: Unit,
}

#[derive(Clone, Copy)]
enum Unit {
    PerSecond,
    Milliseconds,
    Count,
}

const FIGURES: [Figure; 8] = [
    Figure {
        name: "confirmed",
        query: "sum(rate(lab_messages_confirmed_total[30s]))",
        unit: Unit::PerSecond,
    },
    Figure {
        name: "consumed",
        query: "sum(rate(lab_messages_consumed_total[30s]))",
        unit: Unit::PerSecond,
    },
    Figure {
        name: "redelivered",
        query: "sum(rate(lab_messages_redelivered_total[30s]))",
        unit: Unit::PerSecond,
    },
    Figure {
        name: "confirm p50",
        query: "1000 * histogram_quantile(0.5, sum by (le) (rate(lab_confirm_latency_seconds_bucket[30s])))",
        unit: Unit::Milliseconds,
    },
    Figure {
        name: "confirm p99",
        query: "1000 * histogram_quantile(0.99, sum by (le) (rate(lab_confirm_latency_seconds_bucket[30s])))",
        unit: Unit::Milliseconds,
    },
    Figure {
        name: "end to end p99",
        query: "1000 * histogram_quantile(0.99, sum by (le) (rate(lab_end_to_end_latency_seconds_bucket[30s])))",
        unit: Unit::Milliseconds,
    },
    Figure {
        name: "queue depth",
        query: "sum(rabbitmq_queue_messages{queue=\"work\"})",
        unit: Unit::Count,
    },
    Figure {
        name: "dead letters",
        query: "sum(rabbitmq_queue_messages{queue=\"work.dead\"})",
        unit: Unit::Count,
    },
];

/// All figures as lines of text; a figure without samples is a dash.
pub async fn text(http: &Client, prometheus: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    for figure in FIGURES {
        let value = ask(http, prometheus, figure.query).await?;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<16}{:>12}",
            figure.name,
            written(value, figure.unit)
        );
    }
    Ok(text)
}

async fn ask(http: &Client, prometheus: &str, query: &str) -> anyhow::Result<Option<f64>> {
    let answer: Value = http
        .get(format!("{prometheus}/api/v1/query"))
        .query(&[("query", query)])
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .context("Prometheus does not answer")?
        .json()
        .await
        .context("Prometheus answers something else than JSON")?;
    Ok(answer["data"]["result"][0]["value"][1]
        .as_str()
        .and_then(|value| value.parse().ok()))
}

fn written(value: Option<f64>, unit: Unit) -> String {
    match (value.filter(|value| value.is_finite()), unit) {
        (None, _) => "-".to_owned(),
        (Some(value), Unit::PerSecond) => format!("{value:.1} /s"),
        (Some(value), Unit::Milliseconds) => format!("{value:.1} ms"),
        (Some(value), Unit::Count) => format!("{value:.0}"),
    }
}

/// The names of the alerts that Alertmanager holds as firing.
pub async fn alerts(http: &Client, alertmanager: &str) -> anyhow::Result<Vec<String>> {
    let answer: Vec<Value> = http
        .get(format!("{alertmanager}/api/v2/alerts"))
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .context("Alertmanager does not answer")?
        .json()
        .await
        .context("Alertmanager answers something else than JSON")?;
    let mut names: Vec<String> = answer
        .iter()
        .filter_map(|alert| alert["labels"]["alertname"].as_str())
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_without_samples_is_a_dash_not_a_zero() {
        assert_eq!(written(None, Unit::Count), "-");
        assert_eq!(written(Some(f64::NAN), Unit::Milliseconds), "-");
        assert_eq!(written(Some(12.34), Unit::PerSecond), "12.3 /s");
    }
}
