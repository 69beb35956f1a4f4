//! The steps of a bootstrap: what each did, and how long it took.

use std::time::Duration;

use terminal::{progress::Progress, table::Rows};
use tokio::time::Instant;

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
        let took = started.elapsed();
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

    /// The steps one after another, which is the critical path: what runs beside them is shorter.
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
        rows.text()
    }
}
