//! The consumer: one connection, manual acknowledgements in batches, and no message acknowledged before it was handled.
//!
//! What was handled is written to the journal before it is acknowledged. A crash between the two brings the message again,
//! and the journal makes it a duplicate.
//!
//! A stop cancels the consumer, finishes what has arrived and acknowledges it. What the broker had on its way at that
//! moment it delivers to the next consumer, as redelivered; under load it may also drop the last acknowledgements when the
//! channel closes, which the journal makes duplicates too.

use std::{path::PathBuf, time::Duration};

use lapin::{
    options::{BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions},
    types::FieldTable,
};
use tokio::sync::watch;

use crate::{
    broker::{BrokerError, BrokerSettings, Link, Status, TopologyObject, Wire, lane::Lane},
    consumer::{
        conversation::{CONSUMER_TAG, Conversation, Interruption},
        core::Core,
    },
    journal::{Journal, JournalError},
    metrics::ConsumerMetrics,
    stop::Stop,
    topology::QUEUE,
};

pub use received::Received;
pub use verdict::{Failure, Verdict};
pub use work::Handler;

mod acks;
mod conversation;
mod core;
mod received;
mod verdict;
mod work;

/// Deliveries that arrive within this time are taken together. It bounds what a busy consumer adds to the latency, and what
/// a second of wake-ups can cost.
const READ_PAUSE: Duration = Duration::from_micros(500);

/// What a consumer does.
#[derive(Clone, Debug)]
pub struct ConsumerSettings {
    /// The broker and the account.
    pub broker: BrokerSettings,
    /// How many deliveries may be unacknowledged; RabbitMQ advises 100 to 300.
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
    core: Core,
    link: Link,
    settings: ConsumerSettings,
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
        let journal = settings.journal.as_deref().map(Journal::open).transpose()?;
        Ok(Self {
            handler,
            link: Link::new(settings.broker.clone(), metrics.link.clone()),
            core: Core::new(&settings, journal, metrics),
            settings,
        })
    }

    /// The state of the connection.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.link.status()
    }

    /// Consumes until it is asked to stop, through any number of connections, and then finishes what is in hand.
    ///
    /// # Errors
    ///
    /// The journal cannot be written: a consumer that cannot keep its ledger ends at once and acknowledges nothing more.
    pub async fn run(mut self, mut stop: Stop) -> Result<Drained, JournalError> {
        let prefetch = self.settings.prefetch;
        let drained = loop {
            let opening = async |wire, broker: &BrokerSettings| open(wire, broker, prefetch).await;
            let session = tokio::select! {
                session = self.link.establish(opening) => session,
                _ = stop.requested() => break Drained { unfinished: 0 },
            };
            let error = match self.serve(session, &mut stop).await {
                Ok(drained) => break drained,
                Err(Interruption::Journal(error)) => return Err(error),
                Err(Interruption::Amqp(error)) => self.link.session_error(error),
                Err(Interruption::Cancelled) => self.link.consumer_cancelled(QUEUE),
            };
            tokio::select! {
                () = self.link.lost(&error) => {}
                _ = stop.requested() => break Drained { unfinished: 0 },
            }
        };
        self.link.closed();
        Ok(drained)
    }

    /// Consumes over one channel for as long as it lives.
    async fn serve(&mut self, session: Session, stop: &mut Stop) -> Result<Drained, Interruption> {
        let Session {
            wire,
            consumer,
            lane,
        } = session;
        let metrics = self.core.metrics.clone();
        let mut conversation = Conversation::new(
            &self.handler,
            &self.settings,
            &metrics,
            &mut self.core,
            lane,
        );
        let ended = conversation.run(consumer, wire.events(), stop).await;
        match ended {
            Ok(_) => {
                drop(conversation);
                wire.close().await;
            }
            Err(Interruption::Journal(_)) => {}
            Err(Interruption::Amqp(_) | Interruption::Cancelled) => conversation.wind_up().await?,
        }
        ended
    }
}

/// A consuming channel and the connection under it.
struct Session {
    wire: Wire,
    consumer: lapin::Consumer,
    lane: Lane,
}

/// Opens a channel, makes sure that the queue is there, and begins to consume.
async fn open(
    wire: Wire,
    settings: &BrokerSettings,
    prefetch: u16,
) -> Result<Session, BrokerError> {
    let session_error = |error| BrokerError::from_session(error, settings);
    let channel = wire.channel().await.map_err(session_error)?;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(QUEUE.into(), passive, FieldTable::default())
        .await
        .map_err(|error| BrokerError::from_lookup(error, TopologyObject::Queue(QUEUE), settings))?;
    channel
        .basic_qos(prefetch, BasicQosOptions::default())
        .await
        .map_err(session_error)?;
    let lane = wire.lane(channel, READ_PAUSE).map_err(session_error)?;
    let consumer = lane
        .channel()
        .basic_consume(
            QUEUE.into(),
            CONSUMER_TAG.into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .map_err(session_error)?;
    Ok(Session {
        wire,
        consumer,
        lane,
    })
}
