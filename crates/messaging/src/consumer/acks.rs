//! Acknowledgements in batches: as few as the load allows, none later than a small bound.
//!
//! Handling may end out of order. A multiple acknowledgement covers everything up to its tag, so it may only reach to the
//! last handled delivery before the first one still in hand; what lies beyond is acknowledged one by one when its time
//! is up.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The deliveries of one channel, from the lowest that is not settled.
#[derive(Debug)]
pub(super) struct Acks {
    batch: usize,
    delay: Duration,
    /// The delivery tag of the first entry.
    first_tag: u64,
    entries: VecDeque<Entry>,
    handled: usize,
    oldest: Option<Instant>,
}

#[derive(Debug)]
enum Entry {
    InHand,
    Handled {
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

impl Acks {
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

    /// The delivery was handled, or needs no handling.
    pub(super) fn handled(&mut self, tag: u64, now: Instant) {
        if let Some(entry) = self.entry(tag) {
            *entry = Entry::Handled { at: now };
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
    pub(super) fn take(&mut self, now: Instant) -> Vec<Ack> {
        let overdue = self.due_at().is_some_and(|at| at <= now);
        if self.handled < self.batch && !overdue {
            return Vec::new();
        }
        let mut acks: Vec<Ack> = self.take_prefix().into_iter().collect();
        if overdue {
            let delay = self.delay;
            self.take_rest(&mut acks, |at| at + delay <= now);
        }
        self.oldest = self.entries.iter().filter_map(handled_at).min();
        acks
    }

    /// Takes all that was handled, whatever its time: the end of the channel.
    pub(super) fn take_all(&mut self) -> Vec<Ack> {
        let mut acks: Vec<Ack> = self.take_prefix().into_iter().collect();
        self.take_rest(&mut acks, |_| true);
        self.oldest = None;
        acks
    }

    /// One acknowledgement for all that was handled before the first delivery in hand.
    fn take_prefix(&mut self) -> Option<Ack> {
        let mut last_handled = None;
        while !matches!(self.entries.front(), None | Some(Entry::InHand)) {
            if let Some(Entry::Handled { .. }) = self.entries.pop_front() {
                // A settled tag may not end a multiple acknowledgement: the broker no longer knows it.
                last_handled = Some(self.first_tag);
                self.handled -= 1;
            }
            self.first_tag += 1;
        }
        last_handled.map(|tag| Ack {
            tag,
            multiple: true,
        })
    }

    /// One acknowledgement each for what was handled behind a delivery in hand.
    fn take_rest(&mut self, acks: &mut Vec<Ack>, wanted: impl Fn(Instant) -> bool) {
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if handled_at(entry).is_some_and(&wanted) {
                *entry = Entry::Settled;
                acks.push(Ack {
                    tag: self.first_tag + index as u64,
                    multiple: false,
                });
                self.handled -= 1;
            }
        }
    }

    fn entry(&mut self, tag: u64) -> Option<&mut Entry> {
        let index = usize::try_from(tag.checked_sub(self.first_tag)?).ok()?;
        self.entries.get_mut(index)
    }
}

fn handled_at(entry: &Entry) -> Option<Instant> {
    match entry {
        Entry::Handled { at, .. } => Some(*at),
        Entry::InHand | Entry::Settled => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const DELAY: Duration = Duration::from_millis(20);

    struct Channel {
        acks: Acks,
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
                    .handled(tag, self.start + Duration::from_millis(at_ms));
            }
        }

        /// `5*` acknowledges up to 5, `7` acknowledges 7 alone.
        fn take(&mut self, at_ms: u64) -> String {
            let now = self.start + Duration::from_millis(at_ms);
            print(&self.acks.take(now))
        }
    }

    fn print(acks: &[Ack]) -> String {
        let acks: Vec<String> = acks
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
            let mut open: BTreeSet<u64> = (1..=deliveries).collect();
            let mut handled = BTreeSet::new();
            for (step, tag) in tags.into_iter().enumerate() {
                let now = channel.start + Duration::from_millis(step as u64 * 7);
                if random.u8(0..5) == 0 {
                    channel.acks.rejected(tag);
                    open.remove(&tag);
                } else {
                    channel.acks.handled(tag, now);
                    handled.insert(tag);
                }
                settle(channel.acks.take(now), &mut open, &handled);
            }
            settle(channel.acks.take_all(), &mut open, &handled);
            assert!(open.is_empty(), "unsettled: {open:?}");
        }
    }

    /// What the broker does, which closes the channel over a tag that it does not know.
    fn settle(acks: Vec<Ack>, open: &mut BTreeSet<u64>, handled: &BTreeSet<u64>) {
        for ack in acks {
            assert!(open.contains(&ack.tag), "unknown delivery tag {}", ack.tag);
            let covered: Vec<u64> = if ack.multiple {
                open.range(..=ack.tag).copied().collect()
            } else {
                vec![ack.tag]
            };
            for tag in covered {
                assert!(handled.contains(&tag), "{tag} was not handled");
                open.remove(&tag);
            }
        }
    }
}
