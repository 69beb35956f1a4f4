//! The wish to stop: made once by whoever holds the handle, seen by all who work.

use std::time::Instant;

use tokio::sync::watch;

/// Makes the handle and what it is seen through.
pub fn stop() -> (StopHandle, Stop) {
    let (sender, receiver) = watch::channel(None);
    (StopHandle(sender), Stop(receiver))
}

/// Asks for the stop; dropping it asks too, because nobody could any more.
#[derive(Debug)]
pub struct StopHandle(watch::Sender<Option<Instant>>);

impl StopHandle {
    /// Asks for the stop; a second time changes nothing.
    pub fn request(&self) {
        self.0.send_if_modified(|requested| {
            let first = requested.is_none();
            requested.get_or_insert_with(Instant::now);
            first
        });
    }
}

impl Drop for StopHandle {
    fn drop(&mut self) {
        self.request();
    }
}

/// Sees the wish to stop.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<Option<Instant>>);

impl Stop {
    /// When the stop was asked for, if it was.
    pub fn requested_at(&self) -> Option<Instant> {
        *self.0.borrow()
    }

    /// Waits for the wish to stop, and says when it was made.
    pub async fn requested(&mut self) -> Instant {
        match self.0.wait_for(Option::is_some).await {
            Ok(requested) => requested.unwrap_or_else(Instant::now),
            // The handle asks when it is dropped, so that the value is seen before the closing.
            Err(_) => Instant::now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_wish_counts_and_is_seen_by_late_comers() {
        let (handle, mut seen) = stop();
        assert_eq!(seen.requested_at(), None);
        handle.request();
        let first = seen.requested().await;
        handle.request();
        assert_eq!(seen.clone().requested().await, first);
    }

    #[tokio::test]
    async fn a_lost_handle_is_a_wish() {
        let (handle, mut seen) = stop();
        drop(handle);
        seen.requested().await;
        assert!(seen.requested_at().is_some());
    }
}
