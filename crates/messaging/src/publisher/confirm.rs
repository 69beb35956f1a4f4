//! What a batch of the broker's answers means for each message.
//!
//! RabbitMQ sends `basic.return` for an unroutable message and then confirms it, so that a confirm alone says nothing.
//! lapin hands each returned message to whichever confirm it completes next, which under `multiple` confirms is often
//! the confirm of another message. A returned message is therefore known by its own content, and a confirm that arrives
//! with somebody else's return is no proof: its own return may be waiting behind that one.

use std::collections::BTreeSet;

/// The broker's answer to one publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The message that was published.
    pub(super) sequence: u64,
    /// `basic.ack`, or else `basic.nack`.
    pub(super) acked: bool,
    /// The returned message that came along, which may be another one.
    pub(super) returned: Option<u64>,
}

/// What became of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The broker has taken the message.
    Confirmed,
    /// No queue is bound for it.
    Returned,
    /// The broker refuses it.
    Nacked,
    /// It cannot be told; publishing it again is safe, because duplicates are recognised.
    Uncertain,
}

/// The returned messages whose own answer is still to come, over one channel's life.
#[derive(Debug, Default)]
pub(super) struct Returns(BTreeSet<u64>);

impl Returns {
    /// Judges answers that arrived together.
    pub(super) fn judge(&mut self, answers: &[Answer]) -> Vec<(u64, Outcome)> {
        self.0
            .extend(answers.iter().filter_map(|answer| answer.returned));
        answers
            .iter()
            .map(|answer| (answer.sequence, self.outcome(answer)))
            .collect()
    }

    /// The returned messages that no answer was found for: all of them still in flight, or an answer was misjudged.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.iter().copied()
    }

    /// Takes note that a returned message was seen to.
    pub(super) fn forget(&mut self, sequence: u64) {
        self.0.remove(&sequence);
    }

    fn outcome(&mut self, answer: &Answer) -> Outcome {
        if self.0.remove(&answer.sequence) {
            Outcome::Returned
        } else if !answer.acked {
            Outcome::Nacked
        } else if answer.returned.is_some() {
            Outcome::Uncertain
        } else {
            Outcome::Confirmed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Confirmed, Nacked, Returned, Uncertain};
    use super::*;

    fn ack(sequence: u64, returned: impl Into<Option<u64>>) -> Answer {
        Answer {
            sequence,
            acked: true,
            returned: returned.into(),
        }
    }

    fn nack(sequence: u64) -> Answer {
        Answer {
            sequence,
            acked: false,
            returned: None,
        }
    }

    fn check(answers: &[Answer], expected: &[Outcome]) {
        let outcomes: Vec<Outcome> = Returns::default()
            .judge(answers)
            .into_iter()
            .map(|(_, outcome)| outcome)
            .collect();
        assert_eq!(outcomes, expected, "{answers:?}");
    }

    #[test]
    fn answers_without_returns_speak_for_themselves() {
        check(
            &[ack(1, None), nack(2), ack(3, None)],
            &[Confirmed, Nacked, Confirmed],
        );
    }

    #[test]
    fn a_message_that_carries_its_own_return_was_returned() {
        check(&[ack(1, 1)], &[Returned]);
    }

    #[test]
    fn a_return_counts_for_its_message_wherever_it_arrives() {
        // 3 was returned, and lapin gave the return to 1: of 1 itself nothing is known.
        check(
            &[ack(1, 3), ack(2, None), ack(3, None)],
            &[Uncertain, Confirmed, Returned],
        );
        check(&[ack(3, None), ack(1, 3)], &[Returned, Uncertain]);
        check(&[ack(1, 2), ack(2, 1)], &[Returned, Returned]);
    }

    #[test]
    fn a_return_may_arrive_before_its_answer() {
        let mut returns = Returns::default();
        assert_eq!(returns.judge(&[ack(1, 7)]), [(1, Uncertain)]);
        assert_eq!(returns.unanswered().collect::<Vec<_>>(), [7]);
        assert_eq!(returns.judge(&[ack(7, None)]), [(7, Returned)]);
        assert_eq!(returns.unanswered().count(), 0);
    }

    #[test]
    fn a_return_after_its_answer_is_left_over() {
        let mut returns = Returns::default();
        assert_eq!(returns.judge(&[ack(7, None)]), [(7, Confirmed)]);
        returns.judge(&[ack(8, 7)]);
        assert_eq!(returns.unanswered().collect::<Vec<_>>(), [7]);
        returns.forget(7);
        assert_eq!(returns.unanswered().count(), 0);
    }
}
