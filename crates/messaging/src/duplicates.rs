//! Which messages were handled before: at-least-once delivery brings some of them twice.
//!
//! A message is known by its producer and sequence number, which stay the same when it is published again.

use std::collections::{BTreeMap, HashSet};

use uuid::Uuid;

use crate::ranges::RangeSet;

/// A message's identity: the producer's id and its sequence number.
pub type Key = (Uuid, u64);

/// What the ledger knows of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not handled before, and from here on in hand: [`DuplicateLedger::finish`] must follow.
    First,
    /// Handled before, or another copy of it is in hand.
    Duplicate,
}

/// The messages handled so far, per producer: everything up to a watermark and the few above it.
#[derive(Debug, Default)]
pub struct DuplicateLedger {
    handled: BTreeMap<Uuid, RangeSet>,
    in_hand: HashSet<Key>,
}

impl DuplicateLedger {
    /// A ledger that knows these messages as handled: those of the journal.
    pub fn new(handled: BTreeMap<Uuid, RangeSet>) -> Self {
        Self {
            handled,
            in_hand: HashSet::new(),
        }
    }

    /// Takes a delivery in hand, unless it is a duplicate.
    ///
    /// The copy of a message that is in hand counts as one: the broker keeps the first copy until that one is
    /// settled, so that acknowledging the second loses nothing.
    pub fn begin(&mut self, (producer, sequence): Key) -> Seen {
        let handled = self
            .handled
            .get(&producer)
            .is_some_and(|handled| handled.contains(sequence));
        if handled || !self.in_hand.insert((producer, sequence)) {
            Seen::Duplicate
        } else {
            Seen::First
        }
    }

    /// Lays a delivery out of hand; when it was not `handled`, its next delivery is a first one again.
    pub fn finish(&mut self, (producer, sequence): Key, handled: bool) {
        self.in_hand.remove(&(producer, sequence));
        if handled {
            self.handled.entry(producer).or_default().insert(sequence);
        }
    }

    /// Lays everything out of hand, not handled: the channel is gone that it was delivered over.
    pub fn lay_down_all(&mut self) {
        self.in_hand.clear();
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
        assert_eq!(ledger.begin((PRODUCER, 1)), Seen::First);
        ledger.finish((PRODUCER, 1), true);
        assert_eq!(ledger.begin((PRODUCER, 1)), Seen::Duplicate);
        assert_eq!(ledger.begin((OTHER, 1)), Seen::First);
    }

    #[test]
    fn a_rejected_message_comes_again_as_a_first_one() {
        let mut ledger = DuplicateLedger::default();
        assert_eq!(ledger.begin((PRODUCER, 9)), Seen::First);
        ledger.finish((PRODUCER, 9), false);
        assert_eq!(ledger.begin((PRODUCER, 9)), Seen::First);
    }

    #[test]
    fn a_second_copy_beside_one_in_hand_is_a_duplicate() {
        let mut ledger = DuplicateLedger::default();
        assert_eq!(ledger.begin((PRODUCER, 3)), Seen::First);
        assert_eq!(ledger.begin((PRODUCER, 3)), Seen::Duplicate);
    }

    #[test]
    fn the_journal_outlives_the_process() {
        let journal = BTreeMap::from([(PRODUCER, (1..=100).collect())]);
        let mut ledger = DuplicateLedger::new(journal);
        assert_eq!(ledger.begin((PRODUCER, 100)), Seen::Duplicate);
        assert_eq!(ledger.begin((PRODUCER, 101)), Seen::First);
    }

    #[test]
    fn a_million_messages_in_order_are_one_range() {
        let mut ledger = DuplicateLedger::default();
        for sequence in 1..=1_000_000 {
            ledger.finish((PRODUCER, sequence), true);
        }
        assert_eq!(ledger.handled[&PRODUCER].iter().count(), 1);
    }
}
