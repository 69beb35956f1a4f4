//! What lapin was given and has not written to the socket yet: bounded, so that a broker that is slower than the window is
//! wide leaves messages unmade instead of queued here.
//!
//! lapin takes any number of publishes, and copies the body of each. A window of 3000 messages of 64 KiB would lie in memory
//! twice, and wait there for longer than it takes the broker to confirm it.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Enough for lapin to write while the next messages are made.
const FULL_BYTES: usize = 512 << 10;

/// From here on more is taken, many messages at once rather than one for each that was written.
const LOW_BYTES: usize = FULL_BYTES / 2;

/// What a queued message takes besides its body: properties, frames, promises. An estimate.
const OVERHEAD_BYTES: usize = 1 << 10;

#[derive(Debug, Default)]
pub(super) struct Backlog {
    bytes: AtomicUsize,
    low: Notify,
}

/// The size of a queued message with a body of `body_bytes`.
pub(super) fn queued_bytes(body_bytes: usize) -> usize {
    body_bytes + OVERHEAD_BYTES
}

impl Backlog {
    /// How many bytes of messages may be queued now; 0 until most of what is queued was written.
    pub(super) fn room_bytes(&self) -> usize {
        let bytes = self.bytes.load(Ordering::Relaxed);
        if bytes < LOW_BYTES {
            FULL_BYTES - bytes
        } else {
            0
        }
    }

    pub(super) fn queued(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn written(&self, bytes: usize) {
        let before = self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if before >= LOW_BYTES && before - bytes < LOW_BYTES {
            self.low.notify_one();
        }
    }

    /// Waits until there is room again.
    pub(super) async fn low(&self) {
        self.low.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn what_is_full_has_no_room_before_half_of_it_was_written() {
        let backlog = Backlog::default();
        assert_eq!(backlog.room_bytes(), FULL_BYTES);
        for _ in 0..8 {
            backlog.queued(FULL_BYTES / 8);
        }
        for _ in 0..4 {
            assert_eq!(backlog.room_bytes(), 0);
            assert!(backlog.low().now_or_never().is_none());
            backlog.written(FULL_BYTES / 8);
        }
        assert_eq!(backlog.room_bytes(), 0, "half is not yet below half");
        backlog.written(FULL_BYTES / 8);
        assert!(backlog.low().now_or_never().is_some());
        assert_eq!(backlog.room_bytes(), FULL_BYTES * 5 / 8);
    }

    #[test]
    fn a_message_larger_than_all_room_goes_out_alone() {
        let backlog = Backlog::default();
        backlog.queued(10 * FULL_BYTES);
        assert_eq!(backlog.room_bytes(), 0);
        backlog.written(10 * FULL_BYTES);
        assert!(backlog.low().now_or_never().is_some());
        assert_eq!(backlog.room_bytes(), FULL_BYTES);
    }
}
