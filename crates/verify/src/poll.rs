//! Waiting by condition: ask, and ask again until it holds or the time is up.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::finding::Finding;

/// The pause between two questions.
const INTERVAL: Duration = Duration::from_millis(150);

/// What a condition says when asked.
#[derive(Debug)]
pub(crate) enum Step<T> {
    /// It holds.
    Done(T),
    /// It does not hold yet; this is what was seen.
    NotYet(Finding),
    /// It will never hold.
    Never(Finding),
}

impl<T> From<Result<T, Finding>> for Step<T> {
    /// A finding is taken for passing: the component may be starting.
    fn from(result: Result<T, Finding>) -> Self {
        match result {
            Ok(value) => Self::Done(value),
            Err(finding) => Self::NotYet(finding),
        }
    }
}

/// Asks until the condition holds; `what` is named after "waited for". The condition is asked at least once.
///
/// # Errors
/// When it says never, or when the deadline passes: then with the time waited and the last thing seen.
pub(crate) async fn until<T, S: Into<Step<T>>>(
    what: &str,
    deadline: Instant,
    mut condition: impl AsyncFnMut() -> S,
) -> Result<T, Finding> {
    let started = Instant::now();
    let mut seen: Option<Finding> = None;
    loop {
        match timeout_at(deadline, condition()).await.map(Into::into) {
            Ok(Step::Done(value)) => return Ok(value),
            Ok(Step::Never(finding)) => return Err(finding),
            Ok(Step::NotYet(finding)) => seen = Some(finding),
            Err(_elapsed) => return Err(given_up(what, started, seen)),
        }
        if Instant::now() + INTERVAL >= deadline {
            return Err(given_up(what, started, seen));
        }
        sleep(INTERVAL).await;
    }
}

fn given_up(what: &str, started: Instant, seen: Option<Finding>) -> Finding {
    let waited = started.elapsed().as_secs_f64();
    match seen {
        Some(Finding { reason, remedy }) => Finding {
            reason: format!("waited {waited:.1} s for {what}: {reason}"),
            remedy,
        },
        None => Finding::new(
            format!("waited {waited:.1} s for {what}: no answer at all"),
            "see whether the components at both ends answer: `cargo xtask status`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(500)
    }

    fn finding(reason: &str) -> Finding {
        Finding::new(reason, "wait")
    }

    #[tokio::test]
    async fn a_condition_that_comes_true_ends_the_wait() {
        let mut asked = 0;
        let result = until("three", soon(), async || {
            asked += 1;
            if asked == 3 {
                Ok(asked)
            } else {
                Err(finding("less"))
            }
        })
        .await;
        assert_eq!(result.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_timeout_tells_how_long_it_waited_and_what_it_saw_last() {
        let mut asked = 0;
        let failed = until::<(), _>("rain", soon(), async || {
            asked += 1;
            Err(finding(&format!("cloud {}", asked.min(2))))
        })
        .await
        .unwrap_err();
        let told = failed.reason;
        assert!(
            told.starts_with("waited 0.") && told.ends_with(" s for rain: cloud 2"),
            "{told}"
        );
        assert_eq!(failed.remedy, "wait");
    }

    #[tokio::test]
    async fn a_question_that_hangs_is_cut_off_and_the_last_answer_kept() {
        let mut asked = 0;
        let failed = until::<(), _>("echo", soon(), async || {
            asked += 1;
            if asked > 1 {
                std::future::pending::<()>().await;
            }
            Err(finding("once"))
        })
        .await
        .unwrap_err();
        let told = failed.reason;
        assert!(
            told.starts_with("waited 0.") && told.ends_with(" s for echo: once"),
            "{told}"
        );
    }

    #[tokio::test]
    async fn never_ends_the_wait_at_once() {
        let mut asked = 0;
        let failed = until::<(), _>("it", soon(), async || {
            asked += 1;
            Step::Never(finding("gone"))
        })
        .await
        .unwrap_err();
        assert_eq!(failed.reason, "gone");
        assert_eq!(asked, 1);
    }
}
