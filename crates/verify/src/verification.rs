//! All probes at once, each within its own time; none is lost, whatever it does.

use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use blueprint::Arrow;
use futures_util::{FutureExt as _, future::join_all};
use jiff::Timestamp;
use reqwest::Client;
use tokio::time::{Instant, timeout};

use crate::{
    client,
    context::Context,
    engine::Engine,
    finding::{Finding, Probed},
    observer::Observer,
    probe::{absence, patience, probe},
    report::{ArrowReport, Outcome, Report},
    tracers::Tracers,
};

/// How long after its deadline a probe is taken for hanging.
const GRACE: Duration = Duration::from_secs(5);

/// How a lab is verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The time after which a probe that waits for its condition gives up, if that is before its own.
    pub deadline: Option<Duration>,
}

/// Asks every one of the arrows, all at once, and reports them in the order given.
///
/// The future stays on the thread that polls it: block on it, do not spawn it.
pub async fn verify(
    engine: &dyn Engine,
    arrows: &[Arrow],
    options: Options,
    observer: &dyn Observer,
) -> Report {
    let started_at = Timestamp::now();
    let started = Instant::now();
    let http = client::http();
    let tracers = Tracers::default();
    let probes = arrows.iter().map(async |&arrow| {
        observer.started(arrow);
        let started = Instant::now();
        let outcome = match absence(arrow, engine) {
            Some(Finding { reason, remedy }) => Outcome::Absent { reason, remedy },
            None => {
                let question = Question {
                    engine,
                    http: &http,
                    bound: bound(arrow, options),
                    fresh: false,
                };
                question.ask(arrow, &tracers).await.into()
            }
        };
        let report = ArrowReport {
            arrow,
            outcome,
            took_ms: milliseconds(started.elapsed()),
            falsification: None,
        };
        observer.finished(&report);
        report
    });
    let arrows = join_all(probes).await;
    Report {
        engine: engine.name().to_owned(),
        lab: engine.lab().to_owned(),
        started_at,
        took_ms: milliseconds(started.elapsed()),
        arrows,
    }
}

pub(crate) fn bound(arrow: Arrow, options: Options) -> Duration {
    let patience = patience(arrow);
    options
        .deadline
        .map_or(patience, |deadline| deadline.min(patience))
}

pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<Probed> for Outcome {
    fn from(probed: Probed) -> Self {
        match probed {
            Ok(evidence) => Self::Proven { evidence },
            Err(Finding { reason, remedy }) => Self::Broken { reason, remedy },
        }
    }
}

/// A probe that is about to be asked.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) http: &'a Client,
    pub(crate) bound: Duration,
    pub(crate) fresh: bool,
}

impl Question<'_> {
    /// Runs the probe within its time, whatever it does.
    pub(crate) async fn ask(self, arrow: Arrow, tracers: &Tracers) -> Probed {
        let context = Context {
            engine: self.engine,
            http: self.http,
            tracers,
            started_at: Timestamp::now(),
            deadline: Instant::now() + self.bound,
            fresh: self.fresh,
        };
        contained(self.bound, GRACE, probe(arrow, &context)).await
    }
}

/// A probe that hangs or panics is a finding like any other. The probe keeps its own deadline and knows what it saw
/// last; this one is for the probe that does not.
async fn contained(
    bound: Duration,
    grace: Duration,
    probe: impl Future<Output = Probed>,
) -> Probed {
    match timeout(bound + grace, AssertUnwindSafe(probe).catch_unwind()).await {
        Ok(Ok(probed)) => probed,
        Ok(Err(panic)) => Err(Finding::new(
            format!("the probe panicked: {}", words(panic.as_ref())),
            "this is a defect of the verification, not of the lab: please report it",
        )),
        Err(_elapsed) => Err(Finding::new(
            format!(
                "the probe hung for {} s beyond its {} s",
                grace.as_secs(),
                bound.as_secs()
            ),
            "see whether the components at both ends answer: `cargo xtask status`",
        )),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without words")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(10);

    #[tokio::test]
    async fn a_panicking_probe_is_a_finding_with_its_words() {
        let literal = contained(SOON, GRACE, async { panic!("out of range") }).await;
        assert_eq!(
            literal.unwrap_err().reason,
            "the probe panicked: out of range"
        );
        let formatted = contained(SOON, GRACE, async { panic!("at {}", 7) }).await;
        assert_eq!(formatted.unwrap_err().reason, "the probe panicked: at 7");
    }

    #[tokio::test]
    async fn a_hanging_probe_is_a_finding_after_its_time() {
        let probed = contained(SOON, SOON, std::future::pending()).await;
        let told = probed.unwrap_err().reason;
        assert_eq!(told, "the probe hung for 0 s beyond its 0 s");
    }

    #[test]
    fn a_deadline_shortens_patience_and_never_lengthens_it() {
        let arrow = Arrow::RabbitmqToConsumer;
        let bound = |seconds| {
            let deadline = Some(Duration::from_secs(seconds));
            bound(arrow, Options { deadline })
        };
        assert_eq!(bound(1), Duration::from_secs(1));
        assert_eq!(bound(9_999), patience(arrow));
    }
}
