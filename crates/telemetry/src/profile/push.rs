//! The push of profiles to Pyroscope.
//!
//! The pyroscope crate's own agent is not used, for three reasons: it brings its own profiler, of which there can be one;
//! its shutdown sleeps until the next tick of its upload timer, ten seconds away; and it logs each failed push as an
//! error. Its encoding and its generated messages are used.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use prost::Message;
use pyroscope::PyroscopeError;
use pyroscope::encode::r#gen::push::{PushRequest, RawProfileSeries, RawSample};
use pyroscope::encode::r#gen::types::LabelPair;
use reqwest::StatusCode;
use reqwest::blocking::Client;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use thiserror::Error;
use tracing::warn;
use uuid::Uuid;

use super::{Recording, Sampler, gzip};
use crate::TelemetryError;
use crate::outage::Outage;
use crate::settings::{HttpEndpoint, TelemetrySettings};

/// Between two pushes; Pyroscope's own agents use the same.
const INTERVAL: Duration = Duration::from_secs(10);

/// For one push, so that a server that does not answer costs one interval at most.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Path of the push service below the server's base URL (`push.v1.PusherService` of grafana/pyroscope).
const PUSH_PATH: &str = "push.v1.PusherService/Push";

/// Of a refusal's body, what fits a log line.
const MAX_REFUSAL_CHARS: usize = 200;

const THREAD: &str = "profile-push";

/// The thread that pushes.
pub struct Pusher {
    stop: Sender<()>,
    /// Behind a lock that nobody contends, because a guard that tasks share must be `Sync`.
    finished: Mutex<Receiver<()>>,
}

/// A pusher that was told to stop and sends its last profile.
pub struct StoppingPusher {
    finished: Receiver<()>,
}

#[derive(Debug, Error)]
enum PushError {
    #[error("read the samples")]
    Samples(#[source] PyroscopeError),
    #[error("compress the profile")]
    Compress(#[source] io::Error),
    #[error("reach the server")]
    Request(#[source] reqwest::Error),
    #[error("the server answers {status}: {body}")]
    Refused { status: StatusCode, body: String },
}

impl Pusher {
    /// Records from now on and pushes every ten seconds.
    ///
    /// # Errors
    ///
    /// There is no further thread. A profiler that cannot start or a server that does not answer is a warning in the log.
    pub fn spawn(
        sampler: Sampler,
        url: HttpEndpoint,
        settings: &TelemetrySettings,
    ) -> Result<Self, TelemetryError> {
        let labels = labels(settings);
        let (stop, stopped) = mpsc::channel();
        let (done, finished) = mpsc::channel();
        thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || {
                // Dropped when the thread ends, however it ends.
                let _done: Sender<()> = done;
                match sampler.record() {
                    Ok(recording) => push_until(&stopped, recording, &url, &labels),
                    Err(error) => {
                        warn!(%error, "profiles are not taken: the profiler cannot start")
                    }
                }
            })
            .map_err(|source| TelemetryError::Thread {
                thread: THREAD,
                source,
            })?;
        Ok(Self {
            stop,
            finished: Mutex::new(finished),
        })
    }

    /// Asks for the last push without waiting for it.
    pub fn stop(self) -> StoppingPusher {
        drop(self.stop);
        StoppingPusher {
            finished: self
                .finished
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl StoppingPusher {
    /// Waits for the last push, but not beyond `deadline`.
    pub fn wait_until(self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        if let Err(RecvTimeoutError::Timeout) = self.finished.recv_timeout(left) {
            warn!("the last profile was not delivered in time");
        }
    }
}

fn push_until(
    stopped: &Receiver<()>,
    mut recording: Recording,
    url: &HttpEndpoint,
    labels: &[LabelPair],
) {
    // The server is part of the lab and not behind the proxy that the environment may name.
    let client = match Client::builder().timeout(TIMEOUT).no_proxy().build() {
        Ok(client) => client,
        Err(error) => return warn!(%error, "profiles are not pushed: there is no HTTP client"),
    };
    let mut outage = Outage::default();
    loop {
        let stopping = stopped.recv_timeout(INTERVAL) != Err(RecvTimeoutError::Timeout);
        let outcome = push(&client, &mut recording, url, labels);
        outage.record("profiles", url, &outcome);
        if stopping {
            return;
        }
    }
}

fn push(
    client: &Client,
    recording: &mut Recording,
    url: &HttpEndpoint,
    labels: &[LabelPair],
) -> Result<(), PushError> {
    let profile = recording.take().map_err(PushError::Samples)?;
    let request = PushRequest {
        series: vec![RawProfileSeries {
            labels: labels.to_vec(),
            samples: vec![RawSample {
                raw_profile: profile.to_pprof(),
                id: Uuid::now_v7().to_string(),
            }],
        }],
    };
    let body = gzip(&request.encode_to_vec()).map_err(PushError::Compress)?;
    let response = client
        .post(url.join(PUSH_PATH))
        .header(CONTENT_TYPE, "application/proto")
        .header(CONTENT_ENCODING, "gzip")
        .body(body)
        .send()
        .map_err(|error| PushError::Request(error.without_url()))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let body = response.text().unwrap_or_default();
    Err(PushError::Refused {
        status,
        body: body.chars().take(MAX_REFUSAL_CHARS).collect(),
    })
}

/// The labels by which Pyroscope finds the profile, equal to those of the service's metrics.
fn labels(settings: &TelemetrySettings) -> Vec<LabelPair> {
    [
        ("__name__", "process_cpu"),
        ("service_name", &settings.service),
        ("namespace", &settings.namespace),
        ("pod", &settings.instance),
    ]
    .map(|(name, value)| LabelPair {
        name: name.to_owned(),
        value: value.to_owned(),
    })
    .to_vec()
}
