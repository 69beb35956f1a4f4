//! The window of outstanding confirms: which messages the broker still owes an answer, and which go out again.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Instant,
};

/// The messages that were published and are not confirmed, by sequence number.
///
/// Each is either in flight or waiting to be published again; it leaves only when it is confirmed.
#[derive(Debug)]
pub(super) struct Window<M> {
    capacity: usize,
    outstanding: BTreeMap<u64, Entry<M>>,
    waiting: BTreeSet<u64>,
    /// Publishes in order of time, with the attempt they were; an entry whose message has moved on is stale.
    published: VecDeque<(Instant, u64, u32)>,
}

#[derive(Debug)]
struct Entry<M> {
    message: Arc<M>,
    first_published: Instant,
    attempt: u32,
    in_flight: bool,
}

/// A message that has left the window.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Confirmed<M> {
    pub(super) message: Arc<M>,
    pub(super) first_published: Instant,
}

impl<M> Window<M> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            outstanding: BTreeMap::new(),
            waiting: BTreeSet::new(),
            published: VecDeque::new(),
        }
    }

    /// How many messages are outstanding.
    pub(super) fn len(&self) -> usize {
        self.outstanding.len()
    }

    /// How many new messages may be published.
    pub(super) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.outstanding.len())
    }

    /// Takes a new message that is being published; the window may overflow, but see [`room`](Self::room).
    pub(super) fn admit(&mut self, sequence: u64, message: Arc<M>, now: Instant) {
        let entry = Entry {
            message,
            first_published: now,
            attempt: 1,
            in_flight: true,
        };
        self.published.push_back((now, sequence, entry.attempt));
        self.outstanding.insert(sequence, entry);
    }

    /// Takes the lowest message that waits to be published again; it is in flight from here on.
    pub(super) fn again(&mut self, now: Instant) -> Option<Arc<M>> {
        let sequence = self.waiting.pop_first()?;
        let entry = self.outstanding.get_mut(&sequence)?;
        entry.attempt += 1;
        entry.in_flight = true;
        self.published.push_back((now, sequence, entry.attempt));
        Some(Arc::clone(&entry.message))
    }

    /// The broker has confirmed the message.
    pub(super) fn confirm(&mut self, sequence: u64) -> Option<Confirmed<M>> {
        self.waiting.remove(&sequence);
        let entry = self.outstanding.remove(&sequence)?;
        Some(Confirmed {
            message: entry.message,
            first_published: entry.first_published,
        })
    }

    /// The broker has not taken the message: it waits to be published again.
    pub(super) fn give_back(&mut self, sequence: u64) {
        if let Some(entry) = self.outstanding.get_mut(&sequence) {
            entry.in_flight = false;
            self.waiting.insert(sequence);
        }
    }

    /// The connection is gone, and with it every answer: all messages wait to be published again.
    pub(super) fn give_back_all(&mut self) {
        for (&sequence, entry) in &mut self.outstanding {
            entry.in_flight = false;
            self.waiting.insert(sequence);
        }
        self.published.clear();
    }

    /// When the oldest publish that is still unanswered was made.
    pub(super) fn oldest_in_flight(&mut self) -> Option<Instant> {
        while let Some(&(at, sequence, attempt)) = self.published.front() {
            let current = self
                .outstanding
                .get(&sequence)
                .is_some_and(|entry| entry.in_flight && entry.attempt == attempt);
            if current {
                return Some(at);
            }
            self.published.pop_front();
        }
        None
    }

    /// Lets the waiting for answers begin anew, after a time in which the broker owed none.
    pub(super) fn restart_clock(&mut self, now: Instant) {
        for (at, _, _) in &mut self.published {
            *at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn window(capacity: usize, messages: u64, start: Instant) -> Window<u64> {
        let mut window = Window::new(capacity);
        for sequence in 1..=messages {
            window.admit(
                sequence,
                Arc::new(sequence),
                start + Duration::from_secs(sequence),
            );
        }
        window
    }

    #[test]
    fn a_confirm_makes_room() {
        let mut window = window(3, 3, Instant::now());
        assert_eq!(window.room(), 0);
        assert_eq!(*window.confirm(2).unwrap().message, 2);
        assert_eq!((window.room(), window.len()), (1, 2));
        assert_eq!(window.confirm(2), None, "confirmed twice");
    }

    #[test]
    fn what_is_given_back_keeps_its_place_and_its_number() {
        let start = Instant::now();
        let mut window = window(2, 2, start);
        window.give_back(2);
        assert_eq!(
            window.room(),
            0,
            "a message that waits is still outstanding"
        );
        assert_eq!(window.again(start).as_deref(), Some(&2));
        assert_eq!(window.again(start), None);
        let confirmed = window.confirm(2).unwrap();
        assert_eq!(
            confirmed.first_published,
            start + Duration::from_secs(2),
            "latency counts from the first publish"
        );
    }

    #[test]
    fn a_lost_connection_gives_everything_back_in_order() {
        let start = Instant::now();
        let mut window = window(5, 4, start);
        window.confirm(2);
        window.give_back(4);
        window.give_back_all();
        let again: Vec<u64> =
            std::iter::from_fn(|| window.again(start).map(|message| *message)).collect();
        assert_eq!(again, [1, 3, 4]);
    }

    #[test]
    fn the_oldest_unanswered_publish_is_found_past_answered_ones() {
        let start = Instant::now();
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        let mut window = window(5, 4, start);
        assert_eq!(window.oldest_in_flight(), at(1));
        window.confirm(1);
        window.give_back(2);
        assert_eq!(window.oldest_in_flight(), at(3));
        window.again(start + Duration::from_secs(9));
        window.confirm(3);
        window.confirm(4);
        assert_eq!(window.oldest_in_flight(), at(9), "published again");
        window.confirm(2);
        assert_eq!(window.oldest_in_flight(), None);
    }

    #[test]
    fn a_restarted_clock_forgives_the_time_before() {
        let start = Instant::now();
        let mut window = window(5, 2, start);
        window.restart_clock(start + Duration::from_secs(60));
        assert_eq!(
            window.oldest_in_flight(),
            Some(start + Duration::from_secs(60))
        );
    }
}
