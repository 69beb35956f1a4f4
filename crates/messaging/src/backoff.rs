//! Growing delays between attempts, with jitter so that many clients do not come back at the same instant.

use std::time::Duration;

/// The delay before the next attempt: doubles from `initial` to `max`, each shortened at random by up to half.
#[derive(Clone, Debug)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// A back-off that has seen no failure.
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self {
            initial,
            max,
            next: initial,
        }
    }

    /// The delay after one more failure; `jitter` is a random number of 0..1.
    pub fn delay(&mut self, jitter: f64) -> Duration {
        let delay = self.next;
        self.next = delay.saturating_mul(2).min(self.max);
        shorten(delay, jitter)
    }

    /// The longest delay, for a failure that only a person can mend.
    pub fn longest(&mut self, jitter: f64) -> Duration {
        self.next = self.max;
        shorten(self.max, jitter)
    }

    /// Begins anew after a success.
    pub fn reset(&mut self) {
        self.next = self.initial;
    }
}

fn shorten(delay: Duration, jitter: f64) -> Duration {
    delay.mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> Backoff {
        Backoff::new(Duration::from_millis(100), Duration::from_secs(1))
    }

    #[test]
    fn delays_double_up_to_the_longest() {
        let mut backoff = backoff();
        let delays: Vec<u128> = (0..6).map(|_| backoff.delay(0.0).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn jitter_takes_away_up_to_half() {
        assert_eq!(backoff().delay(1.0), Duration::from_millis(50));
        assert_eq!(backoff().delay(0.5), Duration::from_millis(75));
    }

    #[test]
    fn a_success_begins_anew() {
        let mut backoff = backoff();
        backoff.delay(0.0);
        backoff.delay(0.0);
        backoff.reset();
        assert_eq!(backoff.delay(0.0), Duration::from_millis(100));
    }

    #[test]
    fn what_only_a_person_mends_waits_longest() {
        let mut backoff = backoff();
        assert_eq!(backoff.longest(0.0), Duration::from_secs(1));
        assert_eq!(backoff.delay(0.0), Duration::from_secs(1));
    }
}
