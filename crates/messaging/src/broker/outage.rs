//! What to say, and when, about a broker that stays away.

use std::time::{Duration, Instant};

/// After this long an outage is worth waking someone, and again each time it has doubled.
pub(super) const WARN_AFTER: Duration = Duration::from_secs(30);

/// How loud to report a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loudness {
    /// The first failure of an outage: a change of state.
    Info,
    /// Nothing new.
    Debug,
    /// It lasts, or only a person can mend it.
    Warn,
}

/// One outage: from the first failure to the next working connection.
#[derive(Clone, Debug)]
pub(super) struct Outage {
    pub(super) since: Instant,
    pub(super) attempts: u32,
    warn_at: Duration,
    complained_of: Option<String>,
}

impl Outage {
    pub(super) fn begin(now: Instant) -> Self {
        Self {
            since: now,
            attempts: 0,
            warn_at: WARN_AFTER,
            complained_of: None,
        }
    }

    /// Counts a failure with its cause. What needs a person is a warning as soon as its cause is new.
    pub(super) fn failed(&mut self, now: Instant, cause: &str, needs_a_person: bool) -> Loudness {
        self.attempts += 1;
        let lasted = now.duration_since(self.since);
        let new_complaint = needs_a_person && self.complained_of.as_deref() != Some(cause);
        if new_complaint {
            self.complained_of = Some(cause.to_owned());
        }
        if lasted >= self.warn_at {
            self.warn_at = lasted * 2;
            Loudness::Warn
        } else if new_complaint {
            Loudness::Warn
        } else if self.attempts == 1 {
            Loudness::Info
        } else {
            Loudness::Debug
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(needs_a_person: bool, at_seconds: &[u64]) -> Vec<Loudness> {
        let start = Instant::now();
        let mut outage = Outage::begin(start);
        at_seconds
            .iter()
            .map(|&at| outage.failed(start + Duration::from_secs(at), "refused", needs_a_person))
            .collect()
    }

    #[test]
    fn a_short_outage_is_told_once() {
        use Loudness::{Debug, Info};
        assert_eq!(report(false, &[0, 1, 3, 10]), [Info, Debug, Debug, Debug]);
    }

    #[test]
    fn a_long_outage_warns_ever_more_rarely() {
        use Loudness::{Debug, Info, Warn};
        assert_eq!(
            report(false, &[0, 29, 30, 31, 59, 60, 119, 120]),
            [Info, Debug, Warn, Debug, Debug, Warn, Debug, Warn]
        );
    }

    #[test]
    fn what_needs_a_person_warns_at_once_and_not_at_every_attempt() {
        use Loudness::{Debug, Warn};
        assert_eq!(report(true, &[0, 5, 10]), [Warn, Debug, Debug]);
    }

    #[test]
    fn a_new_cause_that_needs_a_person_warns_again() {
        let mut outage = Outage::begin(Instant::now());
        let now = outage.since;
        assert_eq!(outage.failed(now, "no answer", false), Loudness::Info);
        assert_eq!(outage.failed(now, "wrong password", true), Loudness::Warn);
        assert_eq!(outage.failed(now, "wrong password", true), Loudness::Debug);
        assert_eq!(outage.failed(now, "no queue", true), Loudness::Warn);
    }
}
