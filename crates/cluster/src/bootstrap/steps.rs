//! The steps of a bootstrap: what each did, and how long it took.

use std::{collections::BTreeMap, time::Duration};

use terminal::{progress::Progress, table::Rows};
use tokio::time::Instant;

use crate::argocd::Done;

/// What a step did.
pub(crate) enum Did {
    /// It found all as it should be.
    Nothing(String),
    /// It changed something.
    Something(String),
}

impl Did {
    /// `nothing` where the count is zero, `something` otherwise, in these words.
    pub(crate) fn count(changed: usize, what: &str) -> Self {
        match changed {
            0 => Self::Nothing("in order".to_owned()),
            _ => Self::Something(format!("{changed} {what}")),
        }
    }
}

/// The steps so far.
#[derive(Default)]
pub(crate) struct Steps {
    progress: Progress,
    done: Vec<Step>,
    waves: Vec<Done>,
}

struct Step {
    name: &'static str,
    took: Duration,
    line: String,
    changed: bool,
}

impl Steps {
    /// Runs a step: shown while it runs, with what it did when it has.
    pub(crate) async fn run<T, E>(
        &mut self,
        name: &'static str,
        doing: &str,
        step: impl Future<Output = Result<(T, Did), E>>,
    ) -> Result<T, E> {
        self.progress.update(name, doing);
        let started = Instant::now();
        let result = step.await;
        self.end(name, started.elapsed(), result)
    }

    /// Runs a step that moves bytes: how many of how many is shown while it runs.
    pub(crate) async fn transfer<T, E>(
        &mut self,
        name: &'static str,
        bytes: impl Fn() -> (u64, u64),
        step: impl Future<Output = Result<(T, Did), E>>,
    ) -> Result<T, E> {
        let started = Instant::now();
        let result = self.progress.transfer(name, bytes, step).await;
        self.end(name, started.elapsed(), result)
    }

    fn end<T, E>(
        &mut self,
        name: &'static str,
        took: Duration,
        result: Result<(T, Did), E>,
    ) -> Result<T, E> {
        match result {
            Ok((value, did)) => {
                let (line, changed) = match did {
                    Did::Nothing(line) => (line, false),
                    Did::Something(line) => (line, true),
                };
                self.progress.finish(name, &line);
                self.done.push(Step {
                    name,
                    took,
                    line,
                    changed,
                });
                Ok(value)
            }
            Err(error) => {
                self.progress.finish(name, "failed");
                Err(error)
            }
        }
    }

    /// Whether every step found all as it should be.
    pub(crate) fn changed_nothing(&self) -> bool {
        self.done.iter().all(|step| !step.changed)
    }

    /// Notes when each Application was healthy.
    pub(crate) fn note_waves(&mut self, done: Vec<Done>) {
        self.waves = done;
    }

    /// The steps one after another, and of each wave the Application that it waited for: the critical path, which what runs
    /// beside it does not lengthen.
    pub(crate) fn chart(&self) -> String {
        let mut rows = Rows::new(["STEP", "FROM", "TOOK", "DID"]);
        let mut from = Duration::ZERO;
        for step in &self.done {
            let seconds = |duration: Duration| format!("{:.1} s", duration.as_secs_f64());
            rows.add(
                None,
                [&step.name, &seconds(from), &seconds(step.took), &step.line],
            );
            from += step.took;
        }
        format!("{}\n{}", rows.text(), waves(&self.waves))
    }
}

/// The last Application of each wave.
fn waves(done: &[Done]) -> String {
    let mut last: BTreeMap<i32, &Done> = BTreeMap::new();
    for one in done {
        let slowest = last.entry(one.wave).or_insert(one);
        if one.after > slowest.after {
            *slowest = one;
        }
    }
    let mut rows = Rows::new(["WAVE", "HEALTHY AFTER", "WAITED FOR"]);
    for (wave, slowest) in last {
        let after = format!("{:.1} s", slowest.after.as_secs_f64());
        rows.add(None, [&wave, &after, &slowest.name]);
    }
    rows.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_is_as_late_as_its_last_application() {
        let done = |name: &str, wave, seconds| Done {
            name: name.to_owned(),
            wave,
            after: Duration::from_secs(seconds),
        };
        let chart = waves(&[
            done("minio", 1, 9),
            done("rabbitmq", 1, 21),
            done("loki", 2, 30),
        ]);
        let plain = anstream::adapter::strip_str(&chart).to_string();
        assert_eq!(
            plain,
            "WAVE  HEALTHY AFTER  WAITED FOR\n1     21.0 s         rabbitmq\n2     30.0 s         loki\n"
        );
    }
}
