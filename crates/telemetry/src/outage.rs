//! A server that does not answer is worth one line, not one line an attempt.

use std::error::Error;
use std::fmt::Display;
use std::time::{Duration, Instant};

use tracing::{info, warn};

/// Follows the attempts to reach one server and says when there is something to tell.
#[derive(Debug, Default)]
pub struct Outage {
    began: Option<Instant>,
    failures: u64,
}

/// A change worth a line in the log.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Began,
    Ended { after: Duration, failures: u64 },
}

impl Outage {
    /// Takes the outcome of one attempt to send `what` to `endpoint` and logs a beginning or an ending outage.
    pub fn record<E: Error + 'static>(
        &mut self,
        what: &'static str,
        endpoint: &impl Display,
        outcome: &Result<(), E>,
    ) {
        match (self.observe(outcome.is_ok(), Instant::now()), outcome) {
            (Some(Change::Began), Err(error)) => {
                let error: &(dyn Error + 'static) = error;
                warn!(%endpoint, error, "{what} cannot be delivered; the service goes on without");
            }
            (Some(Change::Ended { after, failures }), _) => {
                info!(%endpoint, failures, outage_seconds = after.as_secs_f64(), "{what} are delivered again");
            }
            (Some(Change::Began), Ok(())) | (None, _) => {}
        }
    }

    fn observe(&mut self, succeeded: bool, now: Instant) -> Option<Change> {
        if succeeded {
            let began = self.began.take()?;
            let failures = std::mem::take(&mut self.failures);
            return Some(Change::Ended {
                after: now - began,
                failures,
            });
        }
        self.failures += 1;
        match self.began {
            Some(_) => None,
            None => {
                self.began = Some(now);
                Some(Change::Began)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_at_its_beginning_and_once_at_its_end() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut outage = Outage::default();

        assert_eq!(outage.observe(true, start), None);
        assert_eq!(outage.observe(false, start), Some(Change::Began));
        assert_eq!(outage.observe(false, start + second), None);
        assert_eq!(
            outage.observe(true, start + 2 * second),
            Some(Change::Ended {
                after: 2 * second,
                failures: 2
            })
        );
        assert_eq!(outage.observe(true, start + 3 * second), None);
        assert_eq!(
            outage.observe(false, start + 4 * second),
            Some(Change::Began)
        );
    }
}
