//! Messages that more than one consumer has handled, and whether a fault explains it.
//!
//! A consumer knows what stands in its own journal, and cannot know what another has handled. Only what was on its way when
//! a blow fell comes again: a delivery whose acknowledgement was lost with its consumer or its connection, a message that was
//! published again because its confirm was lost. What had been handled when the blow *before* the last one fell was
//! acknowledged, and has been through a whole recovery since: nothing explains that it comes to another consumer.

use messaging::journal::{Sequences, count};

use crate::journals::sequences::{difference, extend, intersection, union};

/// The repetitions of a campaign so far.
#[derive(Debug)]
pub(crate) struct Repetitions {
    /// What was handled when the blow before the last fell.
    settled: Sequences,
    /// What was handled when the last blow fell.
    at_blow: Sequences,
    /// What was repeated, and is judged already.
    judged: Sequences,
    explained: u64,
    unexplained: u64,
}

impl Repetitions {
    /// Those from here on; what stands in these journals is past.
    pub(crate) fn since(journals: &[&Sequences]) -> Self {
        let handled = union(journals.iter().copied());
        Self {
            settled: handled.clone(),
            at_blow: handled,
            judged: repeated(journals),
            explained: 0,
            unexplained: 0,
        }
    }

    /// Says that a blow falls now.
    pub(crate) fn blow(&mut self, journals: &[&Sequences]) {
        self.judge(journals);
        let handled = union(journals.iter().copied());
        self.settled = std::mem::replace(&mut self.at_blow, handled);
    }

    /// Judges what was repeated since it was last asked: how many a fault explains, and how many nothing does.
    pub(crate) fn judge(&mut self, journals: &[&Sequences]) -> (u64, u64) {
        let new = difference(&repeated(journals), &self.judged);
        let unexplained = count(&intersection(&new, &self.settled));
        self.unexplained += unexplained;
        self.explained += count(&new) - unexplained;
        extend(&mut self.judged, &new);
        (self.explained, self.unexplained)
    }
}

/// What stands in more than one journal.
fn repeated(journals: &[&Sequences]) -> Sequences {
    let (mut seen, mut repeated) = (Sequences::new(), Sequences::new());
    for journal in journals {
        extend(&mut repeated, &intersection(journal, &seen));
        extend(&mut seen, journal);
    }
    repeated
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use messaging::ranges::RangeSet;
    use uuid::Uuid;

    use super::*;

    fn journal(ranges: &[RangeInclusive<u64>]) -> Sequences {
        let mut set = RangeSet::default();
        for range in ranges {
            set.insert_range(range.clone());
        }
        Sequences::from([(Uuid::from_u128(1), set)])
    }

    #[test]
    fn what_was_on_its_way_at_the_blow_may_come_to_another_consumer() {
        let mut repetitions = Repetitions::since(&[&journal(&[1..=10])]);
        let first = journal(&[1..=100]);
        repetitions.blow(&[&first]);
        let second = journal(&[96..=150]);
        assert_eq!(repetitions.judge(&[&first, &second]), (5, 0));
        assert_eq!(
            repetitions.judge(&[&first, &second]),
            (5, 0),
            "each is judged once"
        );
    }

    #[test]
    fn what_was_settled_before_the_last_fault_may_not() {
        let first = journal(&[1..=100]);
        let mut repetitions = Repetitions::since(&[&first]);
        let longer = journal(&[1..=200]);
        repetitions.blow(&[&longer]);
        // 100 was handled before the campaign, 101 on its way at the blow for all that anybody knows.
        let second = journal(&[100..=101]);
        assert_eq!(repetitions.judge(&[&longer, &second]), (1, 1));
        let (longest, third) = (journal(&[1..=300]), journal(&[150..=150, 250..=250]));
        repetitions.blow(&[&longest, &second]);
        // 150 was handled at the blow before, 250 since.
        assert_eq!(repetitions.judge(&[&longest, &second, &third]), (2, 2));
    }

    #[test]
    fn what_was_repeated_before_the_campaign_is_past() {
        let (first, second) = (journal(&[1..=10]), journal(&[5..=20]));
        let mut repetitions = Repetitions::since(&[&first, &second]);
        assert_eq!(repetitions.judge(&[&first, &second]), (0, 0));
    }

    #[test]
    fn one_consumer_repeats_nothing_here() {
        let mut repetitions = Repetitions::since(&[]);
        let only = journal(&[1..=100]);
        repetitions.blow(&[&only]);
        repetitions.blow(&[&only]);
        assert_eq!(repetitions.judge(&[&only]), (0, 0));
    }
}
