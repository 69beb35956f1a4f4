//! What was lost: confirmed to the producer, and neither handled nor dead-lettered.

use crate::{
    journal::record::{Records, Sequences},
    ranges::RangeSet,
};

/// The judgement over a producer's and a consumer's journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// How many messages the broker confirmed.
    pub confirmed: u64,
    /// How many messages were handled, confirmed or not.
    pub acknowledged: u64,
    /// How many messages were given up to the dead-letter queue.
    pub dead: u64,
    /// The confirmed messages of which the consumer knows nothing. Empty once the queue is drained, or the broker
    /// has lost what it confirmed.
    pub lost: Sequences,
}

impl Ledger {
    /// How many messages were lost.
    pub fn lost_count(&self) -> u64 {
        count(&self.lost)
    }
}

/// Subtracts what the consumer's journal accounts for from what the producer's claims.
pub fn compare(producer: &Records, consumer: &Records) -> Ledger {
    let mut lost = Sequences::new();
    for (id, confirmed) in &producer.confirmed {
        let mut accounted = RangeSet::default();
        for sequences in [&consumer.acked, &consumer.dead] {
            if let Some(ranges) = sequences.get(id) {
                accounted.extend(ranges);
            }
        }
        let missing = confirmed.difference(&accounted);
        if !missing.is_empty() {
            lost.insert(*id, missing);
        }
    }
    Ledger {
        confirmed: count(&producer.confirmed),
        acknowledged: count(&consumer.acked),
        dead: count(&consumer.dead),
        lost,
    }
}

/// How many messages these are, and never above what a count can say: a damaged journal may claim any number.
pub fn count(sequences: &Sequences) -> u64 {
    sequences
        .values()
        .map(RangeSet::len)
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::journal::record::Kind;

    const FIRST: Uuid = Uuid::from_u128(1);
    const SECOND: Uuid = Uuid::from_u128(2);

    fn records(lines: &[(Kind, Uuid, u64, u64)]) -> Records {
        let mut records = Records::default();
        for &(kind, producer, first, last) in lines {
            records.insert(kind, producer, first..=last);
        }
        records
    }

    #[test]
    fn acknowledged_and_dead_messages_are_not_lost() {
        let producer = records(&[(Kind::Confirmed, FIRST, 1, 100)]);
        let consumer = records(&[(Kind::Acked, FIRST, 1, 98), (Kind::Dead, FIRST, 99, 100)]);
        let ledger = compare(&producer, &consumer);
        assert_eq!(ledger.lost_count(), 0);
        assert_eq!(
            (ledger.confirmed, ledger.acknowledged, ledger.dead),
            (100, 98, 2)
        );
    }

    #[test]
    fn what_nobody_accounts_for_is_lost() {
        let producer = records(&[
            (Kind::Confirmed, FIRST, 1, 10),
            (Kind::Confirmed, SECOND, 1, 3),
        ]);
        let consumer = records(&[(Kind::Acked, FIRST, 1, 4), (Kind::Acked, FIRST, 6, 10)]);
        let ledger = compare(&producer, &consumer);
        assert_eq!(ledger.lost_count(), 4);
        assert_eq!(ledger.lost[&FIRST].to_string(), "5");
        assert_eq!(ledger.lost[&SECOND].to_string(), "1-3");
    }

    #[test]
    fn handled_but_never_confirmed_is_no_loss() {
        let consumer = records(&[(Kind::Acked, FIRST, 1, 4)]);
        let ledger = compare(&Records::default(), &consumer);
        assert_eq!((ledger.lost_count(), ledger.acknowledged), (0, 4));
    }
}
