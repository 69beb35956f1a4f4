//! Each arrow is broken on purpose and its probe has to notice: a check that cannot fail proves nothing.
//!
//! For each arrow in turn: the probe has to be green, the sabotage is put in place, the probe has to go red, the sabotage
//! is undone whatever happened, the probe has to go green again. Red means that the probe waited for as long as a lab in
//! order needs at worst, by its cadence and by what was measured just before, and saw nothing: the same probe, with the
//! same demands, in a lab that differs by the sabotage alone.

mod in_place;
mod sabotage;

use std::time::Duration;

use blueprint::Arrow;
use in_place::InPlace;
use jiff::Timestamp;
use reqwest::Client;
use sabotage::Sabotage;
use tokio::time::{Instant, sleep};

use crate::{
    client,
    engine::Engine,
    finding::{Finding, Probed},
    observer::{Observer, Phase},
    probe::{absence, cadence},
    report::{ArrowReport, Falsification, Outcome, Report},
    tracers::Tracers,
    verification::{Options, Question, bound, milliseconds},
};

/// Within this time a sabotage has to show.
const RED_BOUND: Duration = Duration::from_secs(60);

/// Within this time an arrow has to be whole again.
const GREEN_BOUND: Duration = Duration::from_secs(120);

/// The pause before a probe is asked again.
const PAUSE: Duration = Duration::from_millis(500);

/// Breaks each of the arrows that are present, one after another, and reports whether its probe noticed.
///
/// The future stays on the thread that polls it: block on it, do not spawn it.
/// Dropped half way (Ctrl-C), it undoes the sabotage in place before the drop returns, which can take some seconds.
pub async fn falsify(
    engine: &dyn Engine,
    arrows: &[Arrow],
    options: Options,
    observer: &dyn Observer,
) -> Report {
    let started_at = Timestamp::now();
    let started = Instant::now();
    let http = client::http();
    let mut reports = Vec::new();
    for &arrow in arrows {
        observer.started(arrow);
        let started = Instant::now();
        let trial = Trial {
            engine,
            http: &http,
            arrow,
            patience: bound(arrow, options),
            observer,
        };
        let (outcome, falsification) = match absence(arrow, engine) {
            Some(Finding { reason, remedy }) => (
                Outcome::Absent { reason, remedy },
                not_falsified("it is absent"),
            ),
            None => trial.run().await,
        };
        let report = ArrowReport {
            arrow,
            outcome,
            took_ms: milliseconds(started.elapsed()),
            falsification: Some(falsification),
        };
        observer.finished(&report);
        reports.push(report);
    }
    Report {
        engine: engine.name().to_owned(),
        lab: engine.lab().to_owned(),
        started_at,
        took_ms: milliseconds(started.elapsed()),
        arrows: reports,
    }
}

fn not_falsified(reason: impl Into<String>) -> Falsification {
    Falsification::NotFalsified {
        reason: reason.into(),
    }
}

/// The falsification of one arrow.
struct Trial<'a> {
    engine: &'a dyn Engine,
    http: &'a Client,
    arrow: Arrow,
    patience: Duration,
    observer: &'a dyn Observer,
}

impl Trial<'_> {
    async fn run(&self) -> (Outcome, Falsification) {
        let sabotage = Sabotage::of(self.arrow);
        let phase = |phase| {
            self.observer
                .phase(self.arrow, phase, &sabotage.to_string());
        };

        phase(Phase::Baseline);
        let started = Instant::now();
        let baseline = self.ask(self.patience).await;
        if baseline.is_err() {
            let reason = "it was broken before anything was done to it";
            return (baseline.into(), not_falsified(reason));
        }
        let red_patience = red_patience(self.arrow, started.elapsed());

        phase(Phase::Injecting);
        let mut in_place = match InPlace::prepare(self.engine, sabotage).await {
            Ok(in_place) => in_place,
            Err(finding) => return (baseline.into(), cannot("prepared", sabotage, &finding)),
        };
        let red = match in_place.inject().await {
            Ok(()) => {
                phase(Phase::WaitingForRed);
                Ok(self.red(red_patience).await)
            }
            Err(finding) => Err(finding),
        };

        phase(Phase::Healing);
        if let Err(finding) = in_place.heal().await {
            let falsification = cannot("undone", sabotage, &finding);
            let outcome = Outcome::Broken {
                reason: format!("`{sabotage}` may still be in place: {}", finding.reason),
                remedy: finding.remedy,
            };
            return (outcome, falsification);
        }

        phase(Phase::WaitingForGreen);
        let green = self.green().await;
        judge(sabotage, red, green)
    }

    /// Asks anew, with tracer messages of its own.
    async fn ask(&self, bound: Duration) -> Probed {
        let question = Question {
            engine: self.engine,
            http: self.http,
            bound,
            fresh: true,
        };
        question.ask(self.arrow, &Tracers::default()).await
    }

    /// Whether the probe goes red in time.
    async fn red(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + RED_BOUND;
        loop {
            if self.ask(patience).await.is_err() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            sleep(PAUSE).await;
        }
    }

    /// What the probe says once it is green again, or at the end of its time.
    async fn green(&self) -> Probed {
        let deadline = Instant::now() + GREEN_BOUND;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let probed = self.ask(self.patience.min(left)).await;
            if probed.is_ok() || Instant::now() >= deadline {
                return probed;
            }
            sleep(PAUSE).await;
        }
    }
}

/// How long a probe has to wait in vain before it is red: as long as a lab in order needs at worst, and longer where
/// this one was seen to need longer.
fn red_patience(arrow: Arrow, baseline: Duration) -> Duration {
    let cadence = cadence(arrow);
    if baseline < cadence {
        cadence
    } else {
        baseline * 2
    }
}

fn cannot(action: &str, sabotage: Sabotage, finding: &Finding) -> Falsification {
    not_falsified(format!(
        "`{sabotage}` could not be {action}: {}",
        finding.reason
    ))
}

/// The verdict over one arrow: did it go red, and is it green again.
fn judge(
    sabotage: Sabotage,
    red: Result<bool, Finding>,
    green: Probed,
) -> (Outcome, Falsification) {
    let falsification = match (&red, &green) {
        (Err(finding), _) => cannot("injected", sabotage, finding),
        (Ok(false), _) => not_falsified(format!(
            "the probe stayed green for {} s under `{sabotage}`",
            RED_BOUND.as_secs()
        )),
        (Ok(true), Err(_)) => not_falsified(format!(
            "the probe went red under `{sabotage}` and did not recover within {} s",
            GREEN_BOUND.as_secs()
        )),
        (Ok(true), Ok(_)) => Falsification::Falsified,
    };
    let outcome = match green {
        Ok(evidence) => Outcome::Proven { evidence },
        Err(Finding { reason, remedy }) => Outcome::Broken {
            reason: format!(
                "not whole again {} s after `{sabotage}`: {reason}",
                GREEN_BOUND.as_secs()
            ),
            remedy,
        },
    };
    (outcome, falsification)
}

#[cfg(test)]
mod tests;
