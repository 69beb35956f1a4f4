//! The publisher: a window of outstanding confirms on each connection, and no message given up before it is confirmed.
//!
//! Each connection is a producer with an id and a sequence of its own. Each message has a place in that sequence and keeps it
//! when it is published again: after a lost connection, a return (no queue is bound), a nack, or an overdue confirm. The
//! consumer recognises the copies.

use std::{path::PathBuf, time::Duration};

use futures_util::{TryStreamExt as _, stream::FuturesUnordered};
use tokio::sync::mpsc;

use crate::{
    broker::BrokerSettings,
    journal::{JournalError, SharedJournal},
    metrics::PublisherMetrics,
    publisher::connection::Connection,
    stop::Stop,
};

pub use handle::{PublisherHandle, TracerError, TracerReceipt};

mod confirm;
mod connection;
mod core;
mod handle;
mod message;
mod pace;
mod sampling;
mod window;

/// What a publisher does.
#[derive(Clone, Debug)]
pub struct PublisherSettings {
    /// The broker and the account.
    pub broker: BrokerSettings,
    /// How many connections publish, at least 1.
    pub connections: usize,
    /// New messages a second on each connection, 0 for as fast as the window allows.
    pub rate: u32,
    /// The size of each payload.
    pub payload_bytes: usize,
    /// How many traces each connection records a second at most, 0 for none but those of tracer messages.
    pub trace_rate: u32,
    /// How many messages may await their confirm on each connection, at least 1.
    pub confirm_window: usize,
    /// How long the broker may take to confirm, before the connection counts as dead.
    pub publish_timeout: Duration,
    /// How long a stop may wait for outstanding confirms.
    pub drain_timeout: Duration,
    /// Where to write down what was confirmed.
    pub journal: Option<PathBuf>,
}

/// A publisher ready to run.
pub struct Publisher {
    connections: Vec<Connection>,
}

/// How a publisher ended that was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Messages whose confirm did not come in time; the journal does not have them.
    pub unconfirmed: usize,
}

impl Publisher {
    /// Makes a publisher with a producer id for each connection, and the way to it while it runs.
    ///
    /// # Errors
    ///
    /// The journal cannot be opened.
    pub fn new(
        settings: PublisherSettings,
        metrics: PublisherMetrics,
    ) -> Result<(Self, PublisherHandle), JournalError> {
        let journal = settings
            .journal
            .as_deref()
            .map(SharedJournal::open)
            .transpose()?;
        let mut senders = Vec::new();
        let connections: Vec<Connection> = settings
            .broker
            .each(settings.connections.max(1))
            .map(|broker| {
                // Room for a few requests; the others wait for theirs within their own time.
                let (sender, requests) = mpsc::channel(16);
                senders.push(sender);
                Connection::new(&settings, broker, journal.clone(), &metrics, requests)
            })
            .collect();
        let handle = PublisherHandle {
            producers: connections.iter().map(Connection::producer).collect(),
            connections: connections.iter().map(Connection::status).collect(),
            // The first connection publishes tracer messages.
            requests: senders.swap_remove(0),
            publish_timeout: settings.publish_timeout,
        };
        Ok((Self { connections }, handle))
    }

    /// Publishes until it is asked to stop, through any number of lost connections, and then waits for outstanding confirms.
    ///
    /// # Errors
    ///
    /// The journal cannot be written: a producer that cannot keep its ledger ends at once.
    pub async fn run(self, stop: Stop) -> Result<Drained, JournalError> {
        let running = self.connections.into_iter();
        let mut running: FuturesUnordered<_> = running
            .map(|connection| connection.run(stop.clone()))
            .collect();
        let mut drained = Drained { unconfirmed: 0 };
        while let Some(one) = running.try_next().await? {
            drained.unconfirmed += one.unconfirmed;
        }
        Ok(drained)
    }
}
