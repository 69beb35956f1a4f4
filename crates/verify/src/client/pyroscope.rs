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
