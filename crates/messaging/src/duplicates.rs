//! Which messages were handled before: at-least-once delivery brings some of them twice.
//!
//! A message is known by its producer and sequence number, which stay the same when it is published again.

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use crate::ranges::RangeSet;

/// A message's identity: the producer's id and its sequence number.
pub type Key = (Uuid, u64);

/// The number of the connection that a delivery arrived over.
pub type Holder = usize;

/// What the ledger knows of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not handled before.
    First,
    /// Handled before, or another copy of it is in hand.
    Duplicate,
}

/// The messages handled so far, per producer: everything up to a watermark and the few above it.
#[derive(Debug, Default)]
pub struct DuplicateLedger {
    handled: BTreeMap<Uuid, RangeSet>,
    in_hand: HashSet<(Holder, Key)>,
}

impl DuplicateLedger {
    /// A ledger that knows these messages as handled: those of the journal.
    pub fn new(handled: BTreeMap<Uuid, RangeSet>) -> Self {
        Self {
            handled,
            in_hand: HashSet::new(),
        }
    }

    /// Takes a delivery in hand, unless it is a duplicate; [`finish`](Self::finish) or [`lay_down`](Self::lay_down) must
    /// follow when it is the first.
    ///
    /// The copy of a message that the same holder has in hand counts as a duplicate: the broker keeps the first copy until
    /// that one is settled, so that acknowledging the second loses nothing. What another holder has in hand may be this very
    /// delivery, which the broker took back from a lost connection, and is a first one.
    pub fn begin(&mut self, holder: Holder, (producer, sequence): Key) -> Seen {
        let handled = self
            .handled
            .get(&producer)
            .is_some_and(|handled| handled.contains(sequence));
        if handled || !self.in_hand.insert((holder, (producer, sequence))) {
            Seen::Duplicate
        } else {
            Seen::First
        }
    }

    /// Lays a delivery out of hand that was handled; a duplicate when another holder was sooner.
    pub fn finish(&mut self, holder: Holder, (producer, sequence): Key) -> Seen {
        self.lay_down(holder, (producer, sequence));
        if self.handled.entry(producer).or_default().insert(sequence) {
            Seen::First
        } else {
            Seen::Duplicate
        }
    }

    /// Lays a delivery out of hand that was not handled: its next one is a first one again.
    pub fn lay_down(&mut self, holder: Holder, key: Key) {
        self.in_hand.remove(&(holder, key));
    }

    /// Lays down whatever the holder has in hand: the channel is gone that it was delivered over.
    pub fn lay_down_all(&mut self, holder: Holder) {
        self.in_hand.retain(|&(other, _)| other != holder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCER: Uuid = Uuid::from_u128(1);
    const OTHER: Uuid = Uuid::from_u128(2);

    #[test]
    fn a_handled_message_is_a_duplicate_of_its_own_producer_only() {
        let mut ledger = DuplicateLedger::default();
        assert_eq!(ledger.begin(1, (PRODUCER, 1)), Seen::First);
        ledger.finish(1, (PRODUCER, 1));
        assert_eq!(ledger.begin(1, (PRODUCER, 1)), Seen::Duplicate);
        assert_eq!(ledger.begin(1, (OTHER, 1)), Seen::First);
    }

    #[test]
    fn a_rejected_message_comes_again_as_a_first_one() {
        let mut ledger = DuplicateLedger::default();
        assert_eq!(ledger.begin(1, (PRODUCER, 9)), Seen::First);
        ledger.lay_down(1, (PRODUCER, 9));
        assert_eq!(ledger.begin(1, (PRODUCER, 9)), Seen::First);
    }

    #[test]
    fn a_second_copy_beside_one_in_hand_is_a_duplicate() {
        let mut ledger = DuplicateLedger::default();
        assert_eq!(ledger.begin(1, (PRODUCER, 3)), Seen::First);
        assert_eq!(ledger.begin(1, (PRODUCER, 3)), Seen::Duplicate);
    }

    #[test]
    fn what_a_lost_connection_had_in_hand_is_a_first_one_elsewhere_and_counts_once() {
        let mut ledger = DuplicateLedger::default();
        assert_eq!(ledger.begin(1, (PRODUCER, 3)), Seen::First);
        assert_eq!(ledger.begin(2, (PRODUCER, 3)), Seen::First);
        assert_eq!(ledger.finish(2, (PRODUCER, 3)), Seen::First);
        assert_eq!(ledger.finish(1, (PRODUCER, 3)), Seen::Duplicate);
    }

    #[test]
    fn only_the_holder_lays_down_what_it_holds() {
        let mut ledger = DuplicateLedger::default();
        assert_eq!(ledger.begin(1, (PRODUCER, 1)), Seen::First);
        assert_eq!(ledger.begin(2, (PRODUCER, 2)), Seen::First);
        ledger.lay_down_all(1);
        assert_eq!(ledger.begin(1, (PRODUCER, 1)), Seen::First);
        assert_eq!(ledger.begin(2, (PRODUCER, 2)), Seen::Duplicate);
    }

    #[test]
    fn the_journal_outlives_the_process() {
        let journal = BTreeMap::from([(PRODUCER, (1..=100).collect())]);
        let mut ledger = DuplicateLedger::new(journal);
        assert_eq!(ledger.begin(1, (PRODUCER, 100)), Seen::Duplicate);
        assert_eq!(ledger.begin(1, (PRODUCER, 101)), Seen::First);
    }

    #[test]
    fn a_million_messages_in_order_are_one_range() {
        let mut ledger = DuplicateLedger::default();
        for sequence in 1..=1_000_000 {
            ledger.finish(1, (PRODUCER, sequence));
        }
        assert_eq!(ledger.handled[&PRODUCER].iter().count(), 1);
    }
}
