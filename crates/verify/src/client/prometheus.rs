//! Prometheus' HTTP API: instant queries, targets, Alertmanagers.
//!
//! Source: Prometheus, "HTTP API" (`/api/v1`).

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};

use super::{ClientError, Endpoint};

/// Prometheus, or Grafana's way to it.
#[derive(Clone, Debug)]
pub(crate) struct Prometheus(pub(crate) Endpoint);

/// One series of an instant query's answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

/// A target that Prometheus scrapes.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Target {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) scrape_url: String,
    #[serde(default)]
    scrape_interval: String,
}

/// The lab's scrape interval, for a Prometheus that does not tell the target's.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(5);

impl Target {
    pub(crate) fn interval(&self) -> Duration {
        self.scrape_interval
            .parse::<jiff::SignedDuration>()
            .ok()
            .and_then(|interval| interval.try_into().ok())
            .unwrap_or(SCRAPE_INTERVAL)
    }
}

/// What every answer of the API is wrapped in.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Targets {
    active_targets: Vec<Target>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alertmanagers {
    active_alertmanagers: Vec<Alertmanager>,
}

#[derive(Deserialize)]
struct Alertmanager {
    url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Queried {
    result: Vec<RawSeries>,
}

#[derive(Deserialize)]
struct RawSeries {
    metric: BTreeMap<String, String>,
    /// Seconds since the epoch and the value, the latter as text.
    value: (f64, String),
}

impl Prometheus {
    /// The instant vector that the expression has at a time (seconds since the epoch), or at Prometheus' own time.
    pub(crate) async fn query(
        &self,
        expression: &str,
        at_seconds: Option<f64>,
    ) -> Result<Vec<Series>, ClientError> {
        let at = at_seconds.map(|at| ("time", at.to_string()));
        let request = self.0.get("/api/v1/query").with(|request| {
            request
                .query(&[("query", expression)])
                .query(&at.as_slice())
        });
        let answer = request.success().await?;
        let Queried { result } = answer.json::<Envelope<Queried>>()?.data;
        result
            .into_iter()
            .map(|series| {
                let (_, text) = series.value;
                let value = text
                    .parse()
                    .map_err(|_| answer.unexpected(format!("the value `{text}`")))?;
                Ok(Series {
                    labels: series.metric,
                    value,
                })
            })
            .collect()
    }

    /// The active targets of one job.
    pub(crate) async fn targets(&self, job: &str) -> Result<Vec<Target>, ClientError> {
        let Targets { active_targets } = self.data("/api/v1/targets?state=active").await?;
        Ok(active_targets
            .into_iter()
            .filter(|target| target.labels.get("job").is_some_and(|name| name == job))
            .collect())
    }

    /// The URLs of the Alertmanagers to which alerts are sent.
    pub(crate) async fn alertmanagers(&self) -> Result<Vec<String>, ClientError> {
        let found: Alertmanagers = self.data("/api/v1/alertmanagers").await?;
        Ok(found
            .active_alertmanagers
            .into_iter()
            .map(|alertmanager| alertmanager.url)
            .collect())
    }

    async fn data<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        Ok(self.0.get(path).json::<Envelope<T>>().await?.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::canned::{serve, success};

    #[test]
    fn a_target_tells_its_interval_in_prometheus_words() {
        let target = |interval: &str| -> Target {
            serde_json::from_value(serde_json::json!({
                "labels": { "job": "producer" },
                "scrapeUrl": "http://127.0.0.1:9464/metrics",
                "scrapeInterval": interval,
            }))
            .unwrap()
        };
        assert_eq!(target("5s").interval(), Duration::from_secs(5));
        assert_eq!(target("1m30s").interval(), Duration::from_secs(90));
        assert_eq!(target("500ms").interval(), Duration::from_millis(500));
        assert_eq!(target("").interval(), SCRAPE_INTERVAL);
    }

    #[tokio::test]
    async fn a_vector_is_read_with_its_labels_and_exact_values() {
        let body = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"__name__":"process_start_time_seconds","job":"producer"},"value":[1795480273.5,"1795478876.6923244"]},
            {"metric":{},"value":[1795480273.5,"NaN"]}]}}"#;
        let (endpoint, requests) = serve("200 OK", body);
        let series = Prometheus(endpoint)
            .query("up{job=\"x\"}", Some(1.5))
            .await
            .unwrap();
        assert_eq!(series[0].labels["job"], "producer");
        assert_eq!(series[0].value, 1_795_478_876.692_324_4);
        assert!(series[1].value.is_nan());
        let asked = requests.recv().unwrap();
        assert!(
            asked.starts_with("GET /api/v1/query?query=up%7Bjob%3D%22x%22%7D&time=1.5 "),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn the_targets_of_other_jobs_are_left_out() {
        let body = r#"{"status":"success","data":{"activeTargets":[
            {"discoveredLabels":{"__address__":"x"},"labels":{"instance":"http://127.0.0.1:9091/-/ready","job":"services"},
             "scrapePool":"services","scrapeUrl":"http://127.0.0.1:9116/probe?module=http_2xx&target=x","globalUrl":"y",
             "lastError":"","lastScrape":"2026-11-24T00:31:13.830624827Z","health":"up","scrapeInterval":"5s","scrapeTimeout":"4s"},
            {"labels":{"job":"loki"},"scrapeUrl":"http://127.0.0.1:3100/metrics","scrapeInterval":"5s"}
            ],"droppedTargets":[]}}"#;
        let targets = Prometheus(success(body)).targets("services").await.unwrap();
        assert_eq!(targets.len(), 1);
        assert_eq!(
            targets[0].labels["instance"],
            "http://127.0.0.1:9091/-/ready"
        );
    }

    #[tokio::test]
    async fn the_alertmanagers_are_named_by_their_urls() {
        let body = r#"{"status":"success","data":{"activeAlertmanagers":[{"url":"http://127.0.0.1:9094/api/v2/alerts"}],"droppedAlertmanagers":[]}}"#;
        let named = Prometheus(success(body)).alertmanagers().await.unwrap();
        assert_eq!(named, ["http://127.0.0.1:9094/api/v2/alerts"]);
    }

    #[tokio::test]
    async fn a_refused_expression_is_told_in_prometheus_words() {
        let body = r#"{"status":"error","errorType":"bad_data","error":"1:4: parse error"}"#;
        let (endpoint, _requests) = serve("400 Bad Request", body);
        let told = Prometheus(endpoint).query("up{", None).await.unwrap_err();
        assert!(told.to_string().contains("1:4: parse error"), "{told}");
    }
}
