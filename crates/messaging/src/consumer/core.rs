//! The consumer without its connection: what each delivery is, and what has to be written and told about it.

use std::time::Instant;

use jiff::Timestamp;
use tracing::warn;

use crate::{
    broker::{chain, lane::Delivery},
    consumer::{
        ConsumerSettings,
        acks::{Ack, Acks, Batch},
        received::Received,
        verdict::Verdict,
        work::Done,
    },
    duplicates::{DuplicateLedger, Key, Seen},
    journal::{Journal, JournalError, Kind, runs},
    metrics::{ConsumerMetrics, record},
};

pub(super) struct Core {
    pub(super) metrics: ConsumerMetrics,
    journal: Option<Journal>,
    ledger: DuplicateLedger,
    acks: Acks<Key>,
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
        journal: Option<Journal>,
        metrics: ConsumerMetrics,
    ) -> Self {
        let handled = journal
            .as_ref()
            .map(|journal| journal.records().acked.clone())
            .unwrap_or_default();
        Self {
            metrics,
            journal,
            ledger: DuplicateLedger::new(handled),
            acks: Acks::new(settings.ack_batch, settings.ack_delay),
            ack_batch: settings.ack_batch,
            ack_delay: settings.ack_delay,
        }
    }

    /// Begins on a new channel, which counts its deliveries anew.
    pub(super) fn begin_session(&mut self) {
        self.acks = Acks::new(self.ack_batch, self.ack_delay);
        self.ledger.lay_down_all();
    }

    /// The channel is gone: what was handled is written down, so that its next delivery is a duplicate.
    pub(super) fn end_session(&mut self) -> Result<(), JournalError> {
        let batch = self.acks.take_all();
        self.write(Kind::Acked, batch.keys)?;
        self.ledger.lay_down_all();
        Ok(())
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
        match self.ledger.begin(message.key()) {
            Seen::First => Accepted::InHand(message),
            Seen::Duplicate => {
                self.metrics.duplicate.add(1, &[]);
                self.acks.handled(tag, None, now);
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
                self.ledger.finish(key, true);
                self.acks.handled(done.tag, Some(key), now);
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
                self.ledger.finish(key, false);
                self.acks.rejected(done.tag);
                self.metrics.rejected.add(1, &[]);
                if last {
                    self.metrics.dead_lettered.add(1, &[]);
                    self.write(Kind::Dead, vec![key])?;
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
        match self.acks.take(now) {
            Some(batch) => self.write_batch(batch),
            None => Ok(Vec::new()),
        }
    }

    /// The acknowledgements of all that was handled; they are in the journal when this returns.
    pub(super) fn acknowledge_all(&mut self) -> Result<Vec<Ack>, JournalError> {
        let batch = self.acks.take_all();
        self.write_batch(batch)
    }

    fn write_batch(&mut self, batch: Batch<Key>) -> Result<Vec<Ack>, JournalError> {
        self.write(Kind::Acked, batch.keys)?;
        Ok(batch.acks)
    }

    fn write(&mut self, kind: Kind, mut keys: Vec<Key>) -> Result<(), JournalError> {
        let Some(journal) = &mut self.journal else {
            return Ok(());
        };
        journal.append(kind, runs(&mut keys))
    }
}
