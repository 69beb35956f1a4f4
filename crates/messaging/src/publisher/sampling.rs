//! Which messages have their trace recorded: so many a second at most, decided when a message is made.
//!
//! A share of all messages would be wrong at both ends: a slow lab would show a trace now and then, a fast one would
//! spend as much on spans as on messages. A rate records everything where little happens and has a price that does not
//! grow with the load. The consumer follows the sampled flag, so that a trace is recorded on both sides or on neither.

use std::time::{Duration, Instant};

/// What may be recorded at once after a pause: what a second allows.
///
/// Messages that are published at the rate itself come in small bursts, and none of them shall go without.
const BURST: Duration = Duration::from_secs(1);

/// A budget of recorded traces.
#[derive(Debug)]
pub(super) struct Sampling {
    /// Time that a recorded trace uses up; `None` records none.
    interval: Option<Duration>,
    /// Until when the budget is spent.
    spent_until: Instant,
}

impl Sampling {
    /// At most `rate` traces a second, 0 for none.
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        Self {
            interval: (rate > 0).then(|| BURST / rate),
            spent_until: now,
        }
    }

    /// Whether the message that is made now has its trace recorded.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        let Some(interval) = self.interval else {
            return false;
        };
        let spent_until = self.spent_until.max(now) + interval;
        let admitted = spent_until <= now + BURST;
        if admitted {
            self.spent_until = spent_until;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of the messages are recorded that come `each` a step of `step`.
    fn recorded(rate: u32, step: Duration, each: usize, steps: u32) -> usize {
        let start = Instant::now();
        let mut sampling = Sampling::new(rate, start);
        (0..steps)
            .flat_map(|index| std::iter::repeat_n(start + step * index, each))
            .filter(|&now| sampling.admits(now))
            .count()
    }

    #[test]
    fn a_rate_within_the_budget_is_recorded_whole() {
        let all = 100 * 60;
        assert_eq!(recorded(100, Duration::from_millis(10), 1, all), 6000);
        assert_eq!(recorded(100, Duration::from_millis(100), 10, 600), 6000);
    }

    #[test]
    fn a_faster_one_is_cut_to_the_budget_and_one_burst() {
        let recorded = recorded(100, Duration::from_millis(5), 100, 200 * 10);
        assert!((1090..=1110).contains(&recorded), "{recorded}");
    }

    #[test]
    fn a_pause_saves_up_no_more_than_a_burst() {
        let start = Instant::now();
        let mut sampling = Sampling::new(100, start);
        let later = start + Duration::from_secs(3600);
        let recorded = (0..1000).filter(|_| sampling.admits(later)).count();
        assert_eq!(recorded, 100);
    }

    #[test]
    fn a_rate_of_zero_records_nothing() {
        assert_eq!(recorded(0, Duration::from_secs(1), 10, 10), 0);
    }
}
