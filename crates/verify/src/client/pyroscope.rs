//! Pyroscope's query API: the merged CPU profile of a service.
//!
//! Source: Grafana Pyroscope 1.x, `/pyroscope/render` ("Query profile data").

use jiff::Timestamp;
use serde::Deserialize;

use super::{ClientError, Endpoint};

/// The type under which pyroscope's Rust agent pushes CPU time.
const CPU: &str = "process_cpu:cpu:nanoseconds:cpu:nanoseconds";

/// Pyroscope, or Grafana's way to it.
#[derive(Clone, Debug)]
pub(crate) struct Pyroscope(pub(crate) Endpoint);

/// A merged CPU profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Profile {
    /// The names of the functions on its stacks.
    pub(crate) frames: Vec<String>,
    /// The CPU time that it holds, in nanoseconds.
    pub(crate) cpu_ns: u64,
}

#[derive(Deserialize)]
struct Rendered {
    flamebearer: Flamebearer,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Flamebearer {
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    num_ticks: u64,
}

impl Pyroscope {
    /// The CPU profile of the series that the labels select, between two times.
    pub(crate) async fn profile(
        &self,
        labels: &[(&str, &str)],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Profile, ClientError> {
        let selector: Vec<_> = labels
            .iter()
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        let query = format!("{CPU}{{{}}}", selector.join(","));
        let (from, until) = (
            from.as_millisecond().to_string(),
            until.as_millisecond().to_string(),
        );
        let Rendered { flamebearer } = self
            .0
            .get("/pyroscope/render")
            .with(|request| {
                request.query(&[
                    ("query", query.as_str()),
                    ("from", &from),
                    ("until", &until),
                    ("format", "json"),
                ])
            })
            .json()
            .await?;
        Ok(Profile {
            frames: flamebearer.names,
            cpu_ns: flamebearer.num_ticks,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::canned::serve;

    async fn read(body: &str) -> (Profile, String) {
        let (endpoint, requests) = serve("200 OK", body);
        let time = |second| Timestamp::from_second(second).unwrap();
        let labels = [("service_name", "producer"), ("pod", "producer-0")];
        let profile = Pyroscope(endpoint).profile(&labels, time(1), time(2)).await;
        (profile.unwrap(), requests.recv().unwrap())
    }

    #[tokio::test]
    async fn a_profile_is_its_frames_and_its_time() {
        let (profile, asked) = read(
            r#"{"version":1,"flamebearer":{"names":["total","clone3","start_thread"],"levels":[[0,1120000000,0,0]],
            "numTicks":1120000000,"maxSelf":80000000},"metadata":{"format":"single","units":"samples","name":"cpu"},
            "timeline":null,"groups":null}"#,
        )
        .await;
        assert_eq!(profile.frames, ["total", "clone3", "start_thread"]);
        assert_eq!(profile.cpu_ns, 1_120_000_000);
        assert!(
            asked.contains(
                "%7Bservice_name%3D%22producer%22%2Cpod%3D%22producer-0%22%7D&from=1000&until=2000"
            ),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn a_service_that_nobody_knows_has_an_empty_profile() {
        let (profile, _) = read(
            r#"{"version":1,"flamebearer":{"names":["total"],"levels":[[0,0,0,0]],"numTicks":0,"maxSelf":0},"timeline":null}"#,
        )
        .await;
        assert_eq!(profile.cpu_ns, 0);
    }
}
