//! The consumer: manual acknowledgements in batches on each connection, and no message acknowledged before it was handled.
//!
//! What was handled is written to the journal before it is acknowledged. A crash between the two brings the message again,
//! and the journal makes it a duplicate.
//!
//! A stop cancels the consumer, finishes what has arrived and acknowledges it. What the broker had on its way at that
//! moment it delivers to the next consumer, as redelivered; under load it may also drop the last acknowledgements when the
//! channel closes, which the journal makes duplicates too.

use std::{path::PathBuf, time::Duration};

use futures_util::{TryStreamExt as _, stream::FuturesUnordered};
use tokio::sync::watch;

use crate::{
    broker::{BrokerSettings, Status},
    consumer::{books::Books, connection::Connection},
    journal::JournalError,
    metrics::ConsumerMetrics,
    stop::Stop,
};

pub use received::Received;
pub use verdict::{Failure, Verdict};
pub use work::Handler;

mod acks;
mod books;
mod connection;
mod conversation;
mod core;
mod received;
mod verdict;
mod work;

/// What a consumer does.
#[derive(Clone, Debug)]
pub struct ConsumerSettings {
    /// The broker and the account.
    pub broker: BrokerSettings,
    /// How many connections consume, at least 1.
    pub connections: usize,
    /// How many deliveries may be unacknowledged on each connection; RabbitMQ advises 100 to 300.
    pub prefetch: u16,
    /// How many handled messages are acknowledged together at the most.
    pub ack_batch: usize,
    /// How long a handled message may wait for its acknowledgement.
    pub ack_delay: Duration,
    /// How often a transient failure is tried again before the delivery is rejected.
    pub retry_limit: u32,
    /// How often the queue takes a message back: its policy's `delivery-limit`.
    pub delivery_limit: u32,
    /// How long a stop may wait for what is in hand.
    pub drain_timeout: Duration,
    /// Where to write down what was handled.
    pub journal: Option<PathBuf>,
}

/// A consumer ready to run.
pub struct Consumer<H> {
    handler: H,
    settings: ConsumerSettings,
    connections: Vec<Connection>,
}

/// How a consumer ended that was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Deliveries whose handling took too long; the broker delivers them again.
    pub unfinished: usize,
}

impl<H: Handler> Consumer<H> {
    /// Makes a consumer that hands its messages to `handler` and knows what its journal knows.
    ///
    /// # Errors
    ///
    /// The journal cannot be opened.
    pub fn new(
        settings: ConsumerSettings,
        handler: H,
        metrics: ConsumerMetrics,
    ) -> Result<Self, JournalError> {
        let books = Books::open(settings.journal.as_deref())?;
        let brokers = settings.broker.each(settings.connections.max(1));
        let connections = brokers
            .enumerate()
            .map(|(holder, broker)| {
                Connection::new(&settings, broker, holder, books.clone(), &metrics)
            })
            .collect();
        Ok(Self {
            handler,
            settings,
            connections,
        })
    }

    /// The state of each connection.
    pub fn connections(&self) -> Vec<watch::Receiver<Status>> {
        self.connections.iter().map(Connection::status).collect()
    }

    /// Consumes until it is asked to stop, through any number of lost connections, and then finishes what is in hand.
    ///
    /// # Errors
    ///
    /// The journal cannot be written: a consumer that cannot keep its ledger ends at once and acknowledges nothing more.
    pub async fn run(self, stop: Stop) -> Result<Drained, JournalError> {
        let (handler, settings) = (&self.handler, &self.settings);
        let running = self.connections.into_iter();
        let mut running: FuturesUnordered<_> = running
            .map(|connection| connection.run(handler, settings, stop.clone()))
            .collect();
        let mut drained = Drained { unfinished: 0 };
        while let Some(one) = running.try_next().await? {
            drained.unfinished += one.unfinished;
        }
        Ok(drained)
    }
}
