//! Acknowledgements in batches: as few as the load allows, none later than a small bound.
//!
//! Handling may end out of order. A multiple acknowledgement covers everything up to its tag, so it may only reach to the
//! last handled delivery before the first one still in hand; what lies beyond is acknowledged one by one when its time
//! is up.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The deliveries of one channel, from the lowest that is not settled; `K` is what an acknowledgement is journalled as.
#[derive(Debug)]
pub(super) struct Acks<K> {
    batch: usize,
    delay: Duration,
    /// The delivery tag of the first entry.
    first_tag: u64,
    entries: VecDeque<Entry<K>>,
    handled: usize,
    oldest: Option<Instant>,
}

#[derive(Debug)]
enum Entry<K> {
    InHand,
    Handled {
        key: Option<K>,
        at: Instant,
    },
    /// Rejected, or acknowledged alone.
    Settled,
}

/// One `basic.ack`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) tag: u64,
    pub(super) multiple: bool,
}

/// Acknowledgements to send, after their keys are journalled.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch<K> {
    pub(super) acks: Vec<Ack>,
    pub(super) keys: Vec<K>,
}

impl<K> Acks<K> {
    /// Of a fresh channel, whose first delivery tag is 1.
    pub(super) fn new(batch: usize, delay: Duration) -> Self {
        Self {
            batch: batch.max(1),
            delay,
            first_tag: 1,
            entries: VecDeque::new(),
            handled: 0,
            oldest: None,
        }
    }

    /// Takes note of the next delivery; tags of a channel ascend by one.
    pub(super) fn delivered(&mut self, tag: u64) {
        // A gap would be a delivery that somebody else settled; it must not shift the others.
        while self.first_tag + (self.entries.len() as u64) < tag {
            self.entries.push_back(Entry::Settled);
        }
        self.entries.push_back(Entry::InHand);
    }

    /// The delivery was handled; a duplicate has no key, because it is in the journal already.
    pub(super) fn handled(&mut self, tag: u64, key: Option<K>, now: Instant) {
        if let Some(entry) = self.entry(tag) {
            *entry = Entry::Handled { key, at: now };
            self.handled += 1;
            self.oldest.get_or_insert(now);
        }
    }

    /// The delivery was rejected, which settles it.
    pub(super) fn rejected(&mut self, tag: u64) {
        if let Some(entry) = self.entry(tag) {
            *entry = Entry::Settled;
        }
    }

    /// When [`take`](Self::take) has something at the latest.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.oldest.map(|oldest| oldest + self.delay)
    }

    /// Takes what is to be acknowledged at this moment: a full batch, or all that is there once its time is up.
    pub(super) fn take(&mut self, now: Instant) -> Option<Batch<K>> {
        let overdue = self.due_at().is_some_and(|at| at <= now);
        if self.handled < self.batch && !overdue {
            return None;
        }
        let mut batch = Batch {
            acks: Vec::new(),
            keys: Vec::new(),
        };
        self.take_prefix(&mut batch);
        if overdue {
            let delay = self.delay;
            self.take_rest(&mut batch, |at| at + delay <= now);
        }
        self.oldest = self.entries.iter().filter_map(handled_at).min();
        (!batch.acks.is_empty()).then_some(batch)
    }

    /// Takes all that was handled, whatever its time: the end of the channel.
    pub(super) fn take_all(&mut self) -> Batch<K> {
        let mut batch = Batch {
            acks: Vec::new(),
            keys: Vec::new(),
        };
        self.take_prefix(&mut batch);
        self.take_rest(&mut batch, |_| true);
        self.oldest = None;
        batch
    }

    /// One acknowledgement for all that was handled before the first delivery in hand.
    fn take_prefix(&mut self, batch: &mut Batch<K>) {
        let mut last_handled = None;
        while !matches!(self.entries.front(), None | Some(Entry::InHand)) {
            if let Some(Entry::Handled { key, .. }) = self.entries.pop_front() {
                // A settled tag may not end a multiple acknowledgement: the broker no longer knows it.
                last_handled = Some(self.first_tag);
                batch.keys.extend(key);
                self.handled -= 1;
            }
            self.first_tag += 1;
        }
        if let Some(tag) = last_handled {
            batch.acks.push(Ack {
                tag,
                multiple: true,
            });
        }
    }

    /// One acknowledgement each for what was handled behind a delivery in hand.
    fn take_rest(&mut self, batch: &mut Batch<K>, wanted: impl Fn(Instant) -> bool) {
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if handled_at(entry).is_some_and(&wanted)
                && let Entry::Handled { key, .. } = std::mem::replace(entry, Entry::Settled)
            {
                batch.keys.extend(key);
                batch.acks.push(Ack {
                    tag: self.first_tag + index as u64,
                    multiple: false,
                });
                self.handled -= 1;
            }
        }
    }

    fn entry(&mut self, tag: u64) -> Option<&mut Entry<K>> {
        let index = usize::try_from(tag.checked_sub(self.first_tag)?).ok()?;
        self.entries.get_mut(index)
    }
}

fn handled_at<K>(entry: &Entry<K>) -> Option<Instant> {
    match entry {
        Entry::Handled { at, .. } => Some(*at),
        Entry::InHand | Entry::Settled => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_millis(20);

    struct Channel {
        acks: Acks<u64>,
        start: Instant,
    }

    impl Channel {
        fn new(batch: usize, deliveries: u64) -> Self {
            let mut acks = Acks::new(batch, DELAY);
            for tag in 1..=deliveries {
                acks.delivered(tag);
            }
            Self {
                acks,
                start: Instant::now(),
            }
        }

        fn handled(&mut self, tags: impl IntoIterator<Item = u64>, at_ms: u64) {
            for tag in tags {
                self.acks
                    .handled(tag, Some(tag), self.start + Duration::from_millis(at_ms));
            }
        }

        /// `5*` acknowledges up to 5, `7` acknowledges 7 alone.
        fn take(&mut self, at_ms: u64) -> String {
            let now = self.start + Duration::from_millis(at_ms);
            self.acks
                .take(now)
                .map_or_else(String::new, |batch| print(&batch))
        }
    }

    fn print(batch: &Batch<u64>) -> String {
        let acks: Vec<String> = batch
            .acks
            .iter()
            .map(|ack| format!("{}{}", ack.tag, if ack.multiple { "*" } else { "" }))
            .collect();
        acks.join(" ")
    }

    #[test]
    fn a_full_batch_is_acknowledged_at_once_and_with_one_frame() {
        let mut channel = Channel::new(3, 5);
        channel.handled([1, 2], 0);
        assert_eq!(channel.take(0), "");
        channel.handled([3], 0);
        assert_eq!(channel.take(0), "3*");
        assert_eq!(channel.take(1000), "");
    }

    #[test]
    fn a_small_batch_waits_no_longer_than_the_delay() {
        let mut channel = Channel::new(100, 2);
        channel.handled([1, 2], 5);
        assert_eq!(channel.take(24), "");
        assert_eq!(
            channel.acks.due_at(),
            Some(channel.start + Duration::from_millis(25))
        );
        assert_eq!(channel.take(25), "2*");
        assert_eq!(channel.acks.due_at(), None);
    }

    #[test]
    fn nothing_is_acknowledged_past_a_delivery_in_hand() {
        let mut channel = Channel::new(3, 5);
        channel.handled([1, 3, 4, 5], 0);
        assert_eq!(channel.take(0), "1*");
        channel.handled([2], 1);
        assert_eq!(channel.take(1), "5*");
    }

    #[test]
    fn what_lies_behind_a_slow_delivery_is_acknowledged_alone_in_time() {
        let mut channel = Channel::new(100, 4);
        channel.handled([2, 4], 0);
        channel.handled([3], 10);
        assert_eq!(channel.take(20), "2 4");
        assert_eq!(channel.take(29), "");
        assert_eq!(channel.take(30), "3");
        channel.handled([1], 40);
        assert_eq!(channel.take(60), "1*");
    }

    #[test]
    fn a_rejected_tag_never_ends_a_multiple_acknowledgement() {
        let mut channel = Channel::new(2, 4);
        channel.handled([1, 2], 0);
        channel.acks.rejected(3);
        assert_eq!(channel.take(0), "2*");
        channel.handled([4], 0);
        assert_eq!(channel.take(20), "4*");
        let mut all_rejected = Channel::new(1, 2);
        all_rejected.acks.rejected(1);
        all_rejected.acks.rejected(2);
        assert_eq!(all_rejected.take(1000), "");
    }

    #[test]
    fn keys_come_with_their_acknowledgement_and_only_once() {
        let mut channel = Channel::new(2, 3);
        channel.handled([2, 1], 0);
        let batch = channel.acks.take(channel.start).unwrap();
        assert_eq!(batch.keys, [1, 2]);
        channel.acks.handled(3, None, channel.start);
        let batch = channel.acks.take_all();
        assert_eq!((print(&batch).as_str(), batch.keys.len()), ("3*", 0));
    }

    #[test]
    fn the_end_takes_everything_handled_and_leaves_what_is_in_hand() {
        let mut channel = Channel::new(100, 4);
        channel.handled([1, 3], 0);
        assert_eq!(print(&channel.acks.take_all()), "1* 3");
    }

    #[test]
    fn random_orders_acknowledge_each_delivery_once() {
        let mut random = fastrand::Rng::with_seed(11);
        for _ in 0..200 {
            let deliveries = random.u64(1..60);
            let mut channel = Channel::new(random.usize(1..10), deliveries);
            let mut tags: Vec<u64> = (1..=deliveries).collect();
            random.shuffle(&mut tags);
            let mut open: std::collections::BTreeSet<u64> = (1..=deliveries).collect();
            let mut keys = Vec::new();
            for (step, tag) in tags.into_iter().enumerate() {
                let now = channel.start + Duration::from_millis(step as u64 * 7);
                if random.u8(0..5) == 0 {
                    channel.acks.rejected(tag);
                    open.remove(&tag);
                } else {
                    channel.acks.handled(tag, Some(tag), now);
                }
                let batch = channel.acks.take(now);
                apply(batch, &mut open, &mut keys);
            }
            let last = channel.acks.take_all();
            apply(Some(last), &mut open, &mut keys);
            assert!(open.is_empty(), "unsettled: {open:?}");
            keys.sort_unstable();
            keys.dedup();
        }
    }

    /// What the broker does, which closes the channel over a tag that it does not know.
    fn apply(
        batch: Option<Batch<u64>>,
        open: &mut std::collections::BTreeSet<u64>,
        keys: &mut Vec<u64>,
    ) {
        let Some(batch) = batch else { return };
        let mut settled = Vec::new();
        for ack in batch.acks {
            assert!(open.contains(&ack.tag), "unknown delivery tag {}", ack.tag);
            let covered: Vec<u64> = if ack.multiple {
                open.range(..=ack.tag).copied().collect()
            } else {
                vec![ack.tag]
            };
            for tag in covered {
                open.remove(&tag);
                settled.push(tag);
            }
        }
        let mut expected = batch.keys.clone();
        expected.sort_unstable();
        settled.sort_unstable();
        assert_eq!(expected, settled, "journalled and acknowledged differ");
        keys.extend(batch.keys);
    }
}
