//! What the broker's answers mean for each message.
//!
//! The broker numbers the publishes of a channel from 1 and answers by these numbers, one or all up to one. It sends
//! `basic.return` for an unroutable message and then confirms it, so that a confirm alone says nothing: a message that came
//! back before is known by its own content.

use std::collections::{BTreeSet, VecDeque};

use crate::broker::lane::Answer;

/// What became of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The broker has taken the message.
    Confirmed,
    /// No queue is bound for it.
    Returned,
    /// The broker refuses it.
    Nacked,
}

/// The publishes of one channel that the broker has not answered.
#[derive(Debug)]
pub(super) struct Confirms {
    /// The number of the first entry.
    first_tag: u64,
    /// The message of each publish, `None` once it is answered.
    sequences: VecDeque<Option<u64>>,
    /// Messages that came back and whose answer is still to come.
    returned: BTreeSet<u64>,
}

impl Confirms {
    /// Of a fresh channel.
    pub(super) fn new() -> Self {
        Self {
            first_tag: 1,
            sequences: VecDeque::new(),
            returned: BTreeSet::new(),
        }
    }

    /// Takes note of the channel's next publish.
    pub(super) fn published(&mut self, sequence: u64) {
        self.sequences.push_back(Some(sequence));
    }

    /// Takes note that a message came back.
    pub(super) fn returned(&mut self, sequence: u64) {
        self.returned.insert(sequence);
    }

    /// Takes an answer; `tell` learns what became of each message that it is for.
    pub(super) fn answered(&mut self, answer: Answer, mut tell: impl FnMut(u64, Outcome)) {
        // A multiple answer of number 0 is for all (AMQP 0-9-1, basic.ack).
        let count = match answer.tag.checked_sub(self.first_tag) {
            Some(index) => {
                usize::try_from(index).map_or(usize::MAX, |index| index.saturating_add(1))
            }
            None if answer.tag == 0 && answer.multiple => usize::MAX,
            // Answered before.
            None => return,
        };
        let first = if answer.multiple { 0 } else { count - 1 };
        for entry in self.sequences.iter_mut().take(count).skip(first) {
            let Some(sequence) = entry.take() else {
                continue;
            };
            let outcome = if self.returned.remove(&sequence) {
                Outcome::Returned
            } else if answer.acked {
                Outcome::Confirmed
            } else {
                Outcome::Nacked
            };
            tell(sequence, outcome);
        }
        while let Some(None) = self.sequences.front() {
            self.sequences.pop_front();
            self.first_tag += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Confirmed, Nacked, Returned};
    use super::*;

    /// A channel over which the messages 10, 20, 30... were published.
    fn channel(publishes: u64) -> Confirms {
        let mut confirms = Confirms::new();
        for number in 1..=publishes {
            confirms.published(number * 10);
        }
        confirms
    }

    fn answer(
        confirms: &mut Confirms,
        tag: u64,
        multiple: bool,
        acked: bool,
    ) -> Vec<(u64, Outcome)> {
        let mut told = Vec::new();
        let answer = Answer {
            tag,
            multiple,
            acked,
        };
        confirms.answered(answer, |sequence, outcome| told.push((sequence, outcome)));
        told
    }

    #[test]
    fn an_answer_is_for_one_message_or_for_all_up_to_it() {
        let mut confirms = channel(5);
        assert_eq!(answer(&mut confirms, 2, false, true), [(20, Confirmed)]);
        assert_eq!(
            answer(&mut confirms, 3, true, true),
            [(10, Confirmed), (30, Confirmed)]
        );
        assert_eq!(answer(&mut confirms, 5, false, false), [(50, Nacked)]);
        assert_eq!(answer(&mut confirms, 4, true, false), [(40, Nacked)]);
        assert!(confirms.sequences.is_empty());
        confirms.published(60);
        assert_eq!(answer(&mut confirms, 6, true, true), [(60, Confirmed)]);
    }

    #[test]
    fn a_multiple_answer_of_number_zero_is_for_all() {
        let mut confirms = channel(2);
        assert_eq!(
            answer(&mut confirms, 0, true, true),
            [(10, Confirmed), (20, Confirmed)]
        );
    }

    #[test]
    fn what_was_answered_is_not_answered_again() {
        let mut confirms = channel(3);
        answer(&mut confirms, 2, true, true);
        for (tag, multiple) in [(1, false), (2, false), (2, true), (0, false)] {
            assert_eq!(answer(&mut confirms, tag, multiple, true), []);
        }
    }

    #[test]
    fn an_answer_beyond_what_was_published_is_for_nobody_else() {
        let mut confirms = channel(2);
        assert_eq!(answer(&mut confirms, u64::MAX, false, true), []);
        assert_eq!(answer(&mut confirms, 3, false, true), []);
        assert_eq!(answer(&mut confirms, 2, true, true).len(), 2);
    }

    #[test]
    fn the_confirm_of_a_message_that_came_back_confirms_nothing() {
        let mut confirms = channel(3);
        confirms.returned(20);
        assert_eq!(
            answer(&mut confirms, 3, true, true),
            [(10, Confirmed), (20, Returned), (30, Confirmed)]
        );
        assert!(confirms.returned.is_empty());
        confirms.published(20);
        assert_eq!(answer(&mut confirms, 4, false, true), [(20, Confirmed)]);
    }
}
