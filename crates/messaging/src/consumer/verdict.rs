//! What becomes of a delivery, once its handling has succeeded or failed.

/// Why a handler did not handle a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It may work in a moment; the text says what did not.
    #[error("transient: {0}")]
    Transient(String),
    /// It will never work with this message; the text says why.
    #[error("poison: {0}")]
    Poison(String),
}

/// What the broker is told about a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `basic.ack`.
    Acknowledge,
    /// `basic.reject` with `requeue`, which counts towards the delivery limit; `basic.nack` does not from RabbitMQ 4.3
    /// on. `last` when it reaches the limit, so that the broker dead-letters the message.
    Reject {
        /// Whether the broker gives the message up.
        last: bool,
    },
}

/// The limits that decide.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How often a transient failure is tried again here.
    pub(super) retry_limit: u32,
    /// How often the queue takes a message back.
    pub(super) delivery_limit: u64,
}

/// The next step after one attempt to handle a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Tell the broker.
    Settle(Verdict),
    /// Wait, and handle it again.
    Retry,
}

/// Decides after the attempt number `attempt` (from 1) at a delivery that was taken back `delivery_count` times before.
pub(super) fn decide(
    outcome: &Result<(), Failure>,
    attempt: u32,
    delivery_count: u64,
    limits: Limits,
) -> Step {
    match outcome {
        Ok(()) => Step::Settle(Verdict::Acknowledge),
        Err(Failure::Transient(_)) if attempt <= limits.retry_limit => Step::Retry,
        Err(Failure::Transient(_) | Failure::Poison(_)) => Step::Settle(Verdict::Reject {
            last: delivery_count >= limits.delivery_limit,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        retry_limit: 3,
        delivery_limit: 5,
    };

    fn check(outcome: Result<(), Failure>, attempt: u32, delivery_count: u64, expected: Step) {
        assert_eq!(
            decide(&outcome, attempt, delivery_count, LIMITS),
            expected,
            "{outcome:?}, attempt {attempt}, delivery count {delivery_count}"
        );
    }

    #[test]
    fn what_was_handled_is_acknowledged_whatever_came_before() {
        let acknowledge = Step::Settle(Verdict::Acknowledge);
        check(Ok(()), 1, 0, acknowledge);
        check(Ok(()), 4, 5, acknowledge);
    }

    #[test]
    fn a_transient_failure_is_retried_up_to_the_limit_and_then_rejected() {
        let transient = || Err(Failure::Transient("the database is restarting".to_owned()));
        for attempt in 1..=3 {
            check(transient(), attempt, 0, Step::Retry);
        }
        check(
            transient(),
            4,
            0,
            Step::Settle(Verdict::Reject { last: false }),
        );
        check(
            transient(),
            4,
            5,
            Step::Settle(Verdict::Reject { last: true }),
        );
    }

    #[test]
    fn poison_is_rejected_at_once_and_dead_lettered_at_the_delivery_limit() {
        let poison = || Err(Failure::Poison("no such customer".to_owned()));
        for delivery_count in 0..5 {
            check(
                poison(),
                1,
                delivery_count,
                Step::Settle(Verdict::Reject { last: false }),
            );
        }
        check(poison(), 1, 5, Step::Settle(Verdict::Reject { last: true }));
        check(poison(), 1, 6, Step::Settle(Verdict::Reject { last: true }));
    }
}
