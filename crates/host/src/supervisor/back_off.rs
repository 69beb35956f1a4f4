//! How long a unit that ended by itself waits before it is started again.

use std::time::Duration;

/// The first pause: long enough not to spin, short enough that a killed unit is hardly missed.
const FIRST: Duration = Duration::from_millis(200);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(10);

/// A life of this length counts as recovery: the next pause is the first one again.
const STEADY: Duration = Duration::from_secs(20);

/// Doubling pauses between starts.
#[derive(Debug)]
pub(super) struct BackOff {
    next: Duration,
}

impl Default for BackOff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl BackOff {
    /// The pause after a life of the given length.
    pub(super) fn after(&mut self, life: Duration) -> Duration {
        if life >= STEADY {
            self.next = FIRST;
        }
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_a_steady_life_resets_them() {
        let mut back_off = BackOff::default();
        let pauses: Vec<_> = (0..8)
            .map(|_| back_off.after(Duration::ZERO).as_millis())
            .collect();
        assert_eq!(pauses, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(back_off.after(STEADY), FIRST);
    }
}
