//! How often the lane is woken by the socket: a bounded number of times a second, as network cards moderate their interrupts.
//!
//! RabbitMQ writes to a consumer's socket for nearly every message. To be woken for each is most of what a delivery costs
//! while messages come one by one, and next to nothing when they come by the dozen. After a read that woke somebody, what
//! arrives until the next beat is therefore read together, on all connections of the process at once. A socket that was
//! quiet for longer is read at once, so that a message now and then is not delayed.

use std::{
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use async_io::Timer;

#[derive(Debug)]
pub(super) struct Moderation {
    pause: Duration,
    /// When the reader may be woken again.
    wake_at: Instant,
    /// Set while it is not yet that time.
    timer: Option<Timer>,
    /// Whether the reader has waited since the last read.
    waited: bool,
}

impl Moderation {
    pub(super) fn new(pause: Duration) -> Self {
        Self {
            pause,
            wake_at: Instant::now(),
            timer: None,
            waited: false,
        }
    }

    /// Waits for the end of a pause, if there is one.
    pub(super) fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(timer) = &mut self.timer {
            ready!(Pin::new(timer).poll(cx));
            self.timer = None;
        }
        Poll::Ready(())
    }

    /// Something was read.
    pub(super) fn read(&mut self) {
        if std::mem::take(&mut self.waited) {
            self.wake_at = next_beat(self.pause);
        }
    }

    /// There is nothing to read. Whether a pause comes before waiting for more.
    pub(super) fn pauses(&mut self) -> bool {
        self.waited = true;
        let pauses = Instant::now() < self.wake_at;
        if pauses {
            self.timer = Some(Timer::at(self.wake_at));
        }
        pauses
    }

    /// Lets the pause end with this timer.
    #[cfg(test)]
    pub(super) fn end_pause_by(&mut self, timer: Timer) {
        self.timer = Some(timer);
    }
}

/// The end of a pause that begins now. All pauses of a length end at the same moments, so that the connections of a process
/// are woken together and not each for itself.
fn next_beat(pause: Duration) -> Instant {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    if pause.is_zero() {
        return Instant::now();
    }
    let beats = FIRST.elapsed().div_duration_f64(pause).floor() + 1.0;
    *FIRST + pause.mul_f64(beats)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_end_together_and_take_no_longer_than_they_may() {
        let pause = Duration::from_secs(3600);
        let before = Instant::now();
        let beat = next_beat(pause);
        assert_eq!(next_beat(pause), beat);
        assert!(before < beat && beat <= Instant::now() + pause);
    }

    #[test]
    fn no_pause_ends_at_once() {
        assert!(next_beat(Duration::ZERO) <= Instant::now());
    }
}
