//! A steady rate: how many messages are due, without making up for lost time in a burst.

use std::time::{Duration, Instant};

/// Messages of a fast rate go out together this often: waking for each would cost more than publishing it.
const TICK: Duration = Duration::from_millis(5);

/// Messages that could not go out are made up for as far as this back; what an outage held up is not.
const DEBT: Duration = Duration::from_millis(100);

/// The rhythm of new messages.
#[derive(Debug)]
pub(super) struct Pace {
    /// Time between two messages; `None` publishes as fast as the window allows.
    interval: Option<Duration>,
    next: Instant,
}

impl Pace {
    /// `rate` messages a second, 0 for as fast as possible.
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        Self {
            interval: (rate > 0).then(|| Duration::from_secs(1) / rate),
            next: now,
        }
    }

    /// Takes the messages that are due, up to `room`.
    pub(super) fn due(&mut self, now: Instant, room: usize) -> usize {
        let Some(interval) = self.interval else {
            return room;
        };
        if now < self.wake_at(interval) {
            return 0;
        }
        if let Some(earliest) = now.checked_sub(DEBT.max(interval)) {
            self.next = self.next.max(earliest);
        }
        let behind = now.saturating_duration_since(self.next);
        let due = behind.as_nanos() / interval.as_nanos() + 1;
        let due = room.min(usize::try_from(due).unwrap_or(usize::MAX));
        self.next += interval * u32::try_from(due).unwrap_or(u32::MAX);
        due
    }

    /// When to ask again; `None` when only the window decides.
    pub(super) fn next_at(&self) -> Option<Instant> {
        self.interval.map(|interval| self.wake_at(interval))
    }

    fn wake_at(&self, interval: Duration) -> Instant {
        self.next + TICK.saturating_sub(interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages published in each of `steps` steps of `step`.
    fn run(rate: u32, step: Duration, steps: u32) -> Vec<usize> {
        let start = Instant::now();
        let mut pace = Pace::new(rate, start);
        (0..steps)
            .map(|index| pace.due(start + step * index, usize::MAX))
            .collect()
    }

    #[test]
    fn the_average_is_the_rate() {
        for rate in [1, 7, 100, 1000, 12_345] {
            let published: usize = run(rate, Duration::from_millis(1), 10_001).iter().sum();
            let expected = 10 * rate as usize;
            let tolerance = (rate as usize / 100).max(1) + 1;
            assert!(
                published.abs_diff(expected) <= tolerance,
                "{published} for {expected}"
            );
        }
    }

    #[test]
    fn a_fast_rate_goes_out_in_small_groups() {
        let groups = run(1000, Duration::from_micros(100), 1000);
        assert_eq!(groups.iter().max(), Some(&5));
    }

    #[test]
    fn a_slow_rate_goes_out_one_by_one() {
        let groups = run(10, Duration::from_millis(1), 1001);
        assert_eq!(groups.iter().max(), Some(&1));
        assert_eq!(groups.iter().sum::<usize>(), 11);
    }

    #[test]
    fn an_outage_is_not_made_up_for() {
        let start = Instant::now();
        let mut pace = Pace::new(1000, start);
        let burst = pace.due(start + Duration::from_secs(60), usize::MAX);
        assert!((90..=110).contains(&burst), "{burst}");
    }

    #[test]
    fn what_has_no_room_stays_due() {
        let start = Instant::now();
        let mut pace = Pace::new(1000, start);
        let later = start + Duration::from_millis(50);
        assert_eq!(pace.due(later, 10), 10);
        assert_eq!(pace.due(later, 1000), 41);
    }

    #[test]
    fn without_a_rate_only_the_window_decides() {
        let start = Instant::now();
        let mut pace = Pace::new(0, start);
        assert_eq!(pace.due(start, 17), 17);
        assert_eq!(pace.next_at(), None);
    }
}
