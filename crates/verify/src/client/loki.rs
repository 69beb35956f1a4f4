//! Loki's HTTP API: push, query, flush, rule groups, delete requests, and its own metrics.
//!
//! Source: Grafana Loki, "HTTP API" (3.6).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{ClientError, Endpoint};

/// Loki, or Grafana's way to it.
#[derive(Clone, Debug)]
pub(crate) struct Loki(pub(crate) Endpoint);

/// A log line and its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) text: String,
}

/// A delete request that Loki keeps.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DeleteRequest {
    #[serde(rename = "request_id")]
    pub(crate) id: String,
    pub(crate) query: String,
    pub(crate) status: String,
    /// Seconds since the epoch.
    created_at: f64,
}

impl DeleteRequest {
    pub(crate) fn created_at(&self) -> Timestamp {
        // Milliseconds are what Loki keeps; a float carries them exactly.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a time of this century fits"
        )]
        let milliseconds = (self.created_at * 1000.0).round() as i64;
        Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl Loki {
    /// Writes one line of now into the stream with these labels.
    pub(crate) async fn push(
        &self,
        labels: &[(&str, &str)],
        time: Timestamp,
        line: &str,
    ) -> Result<(), ClientError> {
        let stream: BTreeMap<_, _> = labels.iter().copied().collect();
        let body = json!({ "streams": [{
            "stream": stream,
            "values": [[time.as_nanosecond().to_string(), line]],
        }] });
        let request = self.0.post("/loki/api/v1/push");
        request
            .with(|request| request.json(&body))
            .success()
            .await?;
        Ok(())
    }

    /// The lines that a LogQL query finds since a time, newest first.
    pub(crate) async fn lines(
        &self,
        query: &str,
        since: Timestamp,
    ) -> Result<Vec<Line>, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            result: Vec<Stream>,
        }
        #[derive(Deserialize)]
        struct Stream {
            stream: BTreeMap<String, String>,
            values: Vec<(String, String)>,
        }
        let start = since.as_nanosecond().to_string();
        let answer: Answer = self
            .0
            .get("/loki/api/v1/query_range")
            .with(|request| request.query(&[("query", query), ("start", &start), ("limit", "10")]))
            .json()
            .await?;
        Ok(answer
            .data
            .result
            .into_iter()
            .flat_map(|stream| {
                stream.values.into_iter().map(move |(_, text)| Line {
                    labels: stream.stream.clone(),
                    text,
                })
            })
            .collect())
    }

    /// Has every chunk in memory written to the store; returns before it is.
    pub(crate) async fn flush(&self) -> Result<(), ClientError> {
        self.0.post("/flush").success().await?;
        Ok(())
    }

    pub(crate) async fn metrics(&self) -> Result<String, ClientError> {
        self.0.get("/metrics").text().await
    }

    /// Stores a rule group (YAML) in a namespace of the ruler.
    pub(crate) async fn store_rules(
        &self,
        namespace: &str,
        group: String,
    ) -> Result<(), ClientError> {
        self.0
            .post(&format!("/loki/api/v1/rules/{namespace}"))
            .with(|request| {
                request
                    .header("content-type", "application/yaml")
                    .body(group)
            })
            .success()
            .await?;
        Ok(())
    }

    /// Removes a namespace of the ruler with all its groups. One that is not there is no error.
    pub(crate) async fn remove_rules(&self, namespace: &str) -> Result<(), ClientError> {
        let path = format!("/loki/api/v1/rules/{namespace}");
        let request = self.0.request(reqwest::Method::DELETE, &path);
        match request.success().await {
            Err(error) if error.status() == Some(reqwest::StatusCode::NOT_FOUND) => Ok(()),
            other => other.map(drop),
        }
    }

    /// The delete requests that Loki keeps.
    pub(crate) async fn delete_requests(&self) -> Result<Vec<DeleteRequest>, ClientError> {
        // Where there is none, the answer is `null`.
        let found: Option<Vec<DeleteRequest>> = self.0.get("/loki/api/v1/delete").json().await?;
        Ok(found.unwrap_or_default())
    }

    /// Asks for the deletion of what a selector matched within a time.
    pub(crate) async fn request_deletion(
        &self,
        query: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<(), ClientError> {
        let (from, to) = (from.as_second().to_string(), to.as_second().to_string());
        let request = self.0.post("/loki/api/v1/delete");
        request
            .with(|request| request.query(&[("query", query), ("start", &from), ("end", &to)]))
            .success()
            .await?;
        Ok(())
    }

    /// Takes a delete request back.
    pub(crate) async fn cancel_deletion(&self, id: &str) -> Result<(), ClientError> {
        let request = self
            .0
            .request(reqwest::Method::DELETE, "/loki/api/v1/delete");
        request
            .with(|request| request.query(&[("request_id", id), ("force", "true")]))
            .success()
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::canned::{serve, success};

    #[tokio::test]
    async fn lines_are_read_with_the_labels_of_their_stream() {
        let body = r#"{"status":"success","data":{"resultType":"streams","result":[{"stream":{"container":"consumer","pod":"consumer-0"},
            "values":[["1795480122609725451","{\"message\":\"tracer message consumed\"}"]]}],"stats":{"summary":{}}}}"#;
        let (endpoint, requests) = serve("200 OK", body);
        let since = Timestamp::from_second(7).unwrap();
        let lines = Loki(endpoint).lines("{a=\"b\"}", since).await.unwrap();
        assert_eq!(lines[0].labels["pod"], "consumer-0");
        assert_eq!(lines[0].text, r#"{"message":"tracer message consumed"}"#);
        let asked = requests.recv().unwrap();
        assert!(asked.contains("start=7000000000&limit=10"), "{asked}");
    }

    #[tokio::test]
    async fn delete_requests_are_read_and_none_is_null() {
        let body = r#"[{"request_id":"147c1666","start_time":1795476458,"end_time":1795476518,"query":"{a=\"b\"}",
            "status":"received","created_at":1795476518.699,"user_id":""}]"#;
        let requests = Loki(success(body)).delete_requests().await.unwrap();
        assert_eq!(
            (requests[0].id.as_str(), requests[0].status.as_str()),
            ("147c1666", "received")
        );
        assert_eq!(requests[0].created_at().as_millisecond(), 1_795_476_518_699);
        assert!(
            Loki(success("null"))
                .delete_requests()
                .await
                .unwrap()
                .is_empty()
        );
    }

    #[tokio::test]
    async fn removing_rules_that_are_gone_is_no_error() {
        let (gone, _requests) = serve("404 Not Found", "group namespace does not exist");
        assert!(Loki(gone).remove_rules("lab-verify").await.is_ok());
        let (broken, _requests) = serve("500 Internal Server Error", "access denied");
        assert!(Loki(broken).remove_rules("lab-verify").await.is_err());
    }
}
