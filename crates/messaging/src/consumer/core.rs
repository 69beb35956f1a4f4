//! The consumer without its connection: what each delivery is, and what has to be written and told about it.

use std::time::Instant;

use jiff::Timestamp;
use tracing::warn;

use crate::{
    broker::{chain, lane::Delivery},
    consumer::{
        ConsumerSettings,
        acks::{Ack, Acks},
        books::Books,
        received::Received,
        verdict::Verdict,
        work::Done,
    },
    duplicates::{Holder, Seen},
    journal::JournalError,
    metrics::{ConsumerMetrics, record},
};

pub(super) struct Core {
    pub(super) metrics: ConsumerMetrics,
    holder: Holder,
    books: Books,
    acks: Acks,
    ack_batch: usize,
    ack_delay: std::time::Duration,
}

/// What to do with a delivery.
pub(super) enum Accepted {
    /// Hand it to the handler.
    InHand(Received),
    /// Nothing: it will be acknowledged with the others.
    Duplicate,
    /// Reject it for good.
    Undecodable,
}

/// What to tell the broker at once about a delivery that was seen to.
pub(super) enum Told {
    /// Nothing: it will be acknowledged with the others.
    Later,
    /// `basic.reject` with `requeue`.
    Reject,
}

impl Core {
    pub(super) fn new(
        settings: &ConsumerSettings,
        holder: Holder,
        books: Books,
        metrics: ConsumerMetrics,
    ) -> Self {
        Self {
            metrics,
            holder,
            books,
            acks: Acks::new(settings.ack_batch, settings.ack_delay),
            ack_batch: settings.ack_batch,
            ack_delay: settings.ack_delay,
        }
    }

    /// Begins on a new channel, which counts its deliveries anew.
    pub(super) fn begin_session(&mut self) {
        self.acks = Acks::new(self.ack_batch, self.ack_delay);
    }

    /// The channel is gone: what was handled is written down, so that its next delivery is a duplicate.
    pub(super) fn end_session(&mut self) -> Result<(), JournalError> {
        self.books.lay_down_all(self.holder);
        self.books.write()
    }

    /// Takes a delivery.
    pub(super) fn accept(&mut self, delivery: Delivery, now: Instant) -> Accepted {
        let tag = delivery.tag;
        self.acks.delivered(tag);
        if delivery.redelivered {
            self.metrics.redelivered.add(1, &[]);
        }
        let message = match Received::new(delivery.content, Timestamp::now()) {
            Ok(message) => message,
            Err(error) => {
                warn!(
                    cause = chain(&error),
                    "a delivery is no message of the lab; it is dead-lettered"
                );
                self.acks.rejected(tag);
                self.metrics.rejected.add(1, &[]);
                self.metrics.dead_lettered.add(1, &[]);
                return Accepted::Undecodable;
            }
        };
        match self.books.begin(self.holder, message.key()) {
            Seen::First => Accepted::InHand(message),
            Seen::Duplicate => {
                self.metrics.duplicate.add(1, &[]);
                self.acks.handled(tag, now);
                Accepted::Duplicate
            }
        }
    }

    /// Takes the verdict over a delivery. A last rejection is in the journal when this returns.
    pub(super) fn settle(&mut self, done: &Done, now: Instant) -> Result<Told, JournalError> {
        let message = &done.message;
        let key = message.key();
        match done.verdict {
            Verdict::Acknowledge => {
                self.acks.handled(done.tag, now);
                if self.books.handled(self.holder, key) == Seen::Duplicate {
                    self.metrics.duplicate.add(1, &[]);
                    return Ok(Told::Later);
                }
                self.metrics.consumed.add(1, &[]);
                // Two clocks may disagree; a negative time is none.
                let latency = Timestamp::now().duration_since(message.published_at);
                record(
                    &self.metrics.end_to_end_latency,
                    latency.try_into().unwrap_or_default(),
                );
                Ok(Told::Later)
            }
            Verdict::Reject { last } => {
                self.books.rejected(self.holder, key, last)?;
                self.acks.rejected(done.tag);
                self.metrics.rejected.add(1, &[]);
                if last {
                    self.metrics.dead_lettered.add(1, &[]);
                }
                Ok(Told::Reject)
            }
        }
    }

    /// When [`acknowledge`](Self::acknowledge) has something at the latest.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.acks.due_at()
    }

    /// The acknowledgements to send at this moment; they are in the journal when this returns.
    pub(super) fn acknowledge(&mut self, now: Instant) -> Result<Vec<Ack>, JournalError> {
        let acks = self.acks.take(now);
        if !acks.is_empty() {
            self.books.write()?;
        }
        Ok(acks)
    }

    /// The acknowledgements of all that was handled; they are in the journal when this returns.
    pub(super) fn acknowledge_all(&mut self) -> Result<Vec<Ack>, JournalError> {
        self.books.write()?;
        Ok(self.acks.take_all())
    }
}
