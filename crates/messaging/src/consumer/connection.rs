//! One connection of a consumer, over all its lives.

use std::time::Duration;

use lapin::{
    options::{BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions},
    types::FieldTable,
};
use tokio::sync::watch;

use crate::{
    broker::{BrokerError, BrokerSettings, Link, Status, TopologyObject, Wire, lane::Lane},
    consumer::{
        ConsumerSettings, Drained, Handler,
        books::Books,
        conversation::{CONSUMER_TAG, Conversation, Interruption},
        core::Core,
    },
    duplicates::Holder,
    journal::JournalError,
    metrics::ConsumerMetrics,
    stop::Stop,
    topology::QUEUE,
};

/// Deliveries that arrive within this time are taken together. It bounds what a busy consumer adds to the latency, and what
/// a second of wake-ups can cost.
const READ_PAUSE: Duration = Duration::from_millis(1);

/// A channel with a prefetch of its own, and the connection that carries it.
pub(super) struct Connection {
    core: Core,
    link: Link,
}

impl Connection {
    pub(super) fn new(
        settings: &ConsumerSettings,
        broker: BrokerSettings,
        holder: Holder,
        books: Books,
        metrics: &ConsumerMetrics,
    ) -> Self {
        Self {
            core: Core::new(settings, holder, books, metrics.clone()),
            link: Link::new(broker, &metrics.link),
        }
    }

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.link.status()
    }

    /// Consumes until it is asked to stop, and then finishes what is in hand.
    ///
    /// # Errors
    ///
    /// The journal cannot be written.
    pub(super) async fn run<H: Handler>(
        mut self,
        handler: &H,
        settings: &ConsumerSettings,
        mut stop: Stop,
    ) -> Result<Drained, JournalError> {
        let prefetch = settings.prefetch;
        let drained = loop {
            let opening = async |wire, broker: &BrokerSettings| open(wire, broker, prefetch).await;
            let session = tokio::select! {
                session = self.link.establish(opening) => session,
                _ = stop.requested() => break Drained { unfinished: 0 },
            };
            let error = match self.serve(session, handler, settings, &mut stop).await {
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
    async fn serve<H: Handler>(
        &mut self,
        session: Session,
        handler: &H,
        settings: &ConsumerSettings,
        stop: &mut Stop,
    ) -> Result<Drained, Interruption> {
        let Session {
            wire,
            consumer,
            lane,
        } = session;
        let metrics = self.core.metrics.clone();
        let mut conversation = Conversation::new(handler, settings, &metrics, &mut self.core, lane);
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
