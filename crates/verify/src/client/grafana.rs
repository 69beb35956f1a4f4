//! Grafana's HTTP API: queries through its data sources, as its panels and its users make them.
//!
//! Sources: Grafana, "Data source HTTP API" (`/api/ds/query`, `/api/datasources/proxy/uid/:uid/*`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{Answer, ClientError, Endpoint, loki::Loki, prometheus::Series, pyroscope::Pyroscope};

/// Grafana, asked as its administrator.
#[derive(Clone, Debug)]
pub(crate) struct Grafana(pub(crate) Endpoint);

#[derive(Deserialize)]
struct Queried {
    results: BTreeMap<String, QueryResult>,
}

#[derive(Deserialize)]
struct QueryResult {
    error: Option<String>,
    #[serde(default)]
    frames: Vec<Frame>,
}

#[derive(Deserialize)]
struct Frame {
    schema: Schema,
    data: Data,
}

#[derive(Deserialize)]
struct Schema {
    fields: Vec<Field>,
}

#[derive(Deserialize)]
struct Field {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Data {
    /// One column a field.
    values: Vec<Vec<serde_json::Value>>,
}

impl Grafana {
    /// The instant vector of a PromQL expression at a time, asked the way a panel asks.
    pub(crate) async fn metrics(
        &self,
        expression: &str,
        at: Timestamp,
    ) -> Result<Vec<Series>, ClientError> {
        let at = at.as_millisecond().to_string();
        let body = json!({
            "from": at,
            "to": at,
            "queries": [{
                "refId": "A",
                "datasource": { "type": "prometheus", "uid": "prometheus" },
                "expr": expression,
                "instant": true,
                "range": false,
                "format": "time_series",
            }],
        });
        let request = self.0.post("/api/ds/query");
        // A failed query comes with an error status, and with the words of the data source in the body.
        let answer = request.with(|request| request.json(&body)).answer().await?;
        match series(&answer) {
            Err(_) if !answer.status.is_success() => Err(answer
                .success()
                .map_or_else(|refused| refused, |answer| answer.unexpected("success"))),
            read => read,
        }
    }

    /// Loki through Grafana's proxy.
    pub(crate) fn loki(&self) -> Loki {
        Loki(self.0.below("/api/datasources/proxy/uid/loki"))
    }

    /// Pyroscope through Grafana's proxy.
    pub(crate) fn pyroscope(&self) -> Pyroscope {
        Pyroscope(self.0.below("/api/datasources/proxy/uid/pyroscope"))
    }
}

fn series(answer: &Answer) -> Result<Vec<Series>, ClientError> {
    let mut queried: Queried = answer.json()?;
    let result = queried
        .results
        .remove("A")
        .ok_or_else(|| answer.unexpected("no result of the query"))?;
    if let Some(error) = result.error {
        return Err(answer.unexpected(error));
    }
    result
        .frames
        .into_iter()
        .map(|frame| {
            frame
                .schema
                .fields
                .into_iter()
                .zip(frame.data.values)
                .find(|(field, _)| field.kind == "number")
                .and_then(|(field, column)| {
                    Some(Series {
                        labels: field.labels,
                        value: column.last()?.as_f64()?,
                    })
                })
                .ok_or_else(|| answer.unexpected("a frame without a number"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use blueprint::Component;
    use reqwest::StatusCode;

    use super::*;

    fn answer(body: serde_json::Value) -> Answer {
        Answer {
            component: Component::Grafana,
            request: "POST /api/ds/query".to_owned(),
            status: StatusCode::OK,
            body: body.to_string().into_bytes(),
        }
    }

    #[test]
    fn the_number_of_a_frame_is_read_with_its_labels() {
        // The shape of a documented answer: a time column and a number column.
        let answer = answer(json!({ "results": { "A": { "status": 200, "frames": [{
            "schema": { "refId": "A", "fields": [
                { "name": "Time", "type": "time", "typeInfo": { "frame": "time.Time" } },
                { "name": "Value", "type": "number", "labels": { "pod": "producer-0" } },
            ]},
            "data": { "values": [[1_700_000_000_000_i64], [8.5]] },
        }] } } }));
        let read = series(&answer).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].value, 8.5);
        assert_eq!(read[0].labels["pod"], "producer-0");
    }

    #[test]
    fn the_data_sources_own_words_are_the_error() {
        let answer = answer(json!({ "results": { "A": {
            "error": "dial tcp 127.0.0.1:1: connect: connection refused", "status": 502, "frames": [],
        } } }));
        let told = series(&answer).unwrap_err().to_string();
        assert!(told.ends_with("connect: connection refused"), "{told}");
    }

    #[test]
    fn an_empty_answer_is_no_series() {
        let answer = answer(json!({ "results": { "A": { "status": 200, "frames": [] } } }));
        assert!(series(&answer).unwrap().is_empty());
    }
}
