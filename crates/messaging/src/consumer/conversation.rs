//! The consumer's talk with the broker over one channel, from the first delivery to the last acknowledgement.

use std::time::Instant;

use futures_util::{
    FutureExt as _, Stream, StreamExt as _, future::BoxFuture, stream::FuturesUnordered,
};
use lapin::{
    Channel, Event,
    message::Delivery,
    options::{BasicAckOptions, BasicCancelOptions, BasicRejectOptions},
};
use tokio::time::{sleep_until, timeout};

use crate::{
    consumer::{
        ConsumerSettings, Drained, Handler,
        acks::Ack,
        core::{Accepted, Core, Told},
        verdict::Limits,
        work::{Done, work},
    },
    journal::JournalError,
    metrics::ConsumerMetrics,
    stop::Stop,
};

/// What the consumer is known by on its channel.
pub(super) const CONSUMER_TAG: &str = "lab-consumer";

/// Why a conversation ended that nobody asked to stop.
pub(super) enum Interruption {
    /// The channel or the connection failed.
    Amqp(lapin::Error),
    /// The broker cancelled the consumer.
    Cancelled,
    /// The journal cannot be written.
    Journal(JournalError),
}

impl From<lapin::Error> for Interruption {
    fn from(error: lapin::Error) -> Self {
        Self::Amqp(error)
    }
}

impl From<JournalError> for Interruption {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

pub(super) struct Conversation<'a, H> {
    handler: &'a H,
    settings: &'a ConsumerSettings,
    metrics: &'a ConsumerMetrics,
    core: &'a mut Core,
    channel: &'a Channel,
    in_hand: FuturesUnordered<BoxFuture<'a, Done>>,
}

impl<'a, H: Handler> Conversation<'a, H> {
    pub(super) fn new(
        handler: &'a H,
        settings: &'a ConsumerSettings,
        metrics: &'a ConsumerMetrics,
        core: &'a mut Core,
        channel: &'a Channel,
    ) -> Self {
        core.begin_session();
        Self {
            handler,
            settings,
            metrics,
            core,
            channel,
            in_hand: FuturesUnordered::new(),
        }
    }

    /// Consumes until a stop is asked for and everything in hand is finished, or its time is up.
    pub(super) async fn run(
        &mut self,
        deliveries: impl Stream<Item = Result<Delivery, lapin::Error>> + Unpin,
        mut events: impl Stream<Item = Event> + Unpin,
        stop: &mut Stop,
    ) -> Result<Drained, Interruption> {
        // lapin says once that there are no more, and that may be behind the last delivery of a batch.
        let mut deliveries = deliveries.fuse();
        let mut cancelling = false;
        let mut cancelled = false;
        loop {
            // Deliveries need no budget of the runtime's; without this a stream of them would starve its other tasks.
            tokio::task::coop::consume_budget().await;
            let now = Instant::now();
            let acks = self.core.acknowledge(now)?;
            self.acknowledge(acks).await?;
            let deadline = stop
                .requested_at()
                .map(|at| at + self.settings.drain_timeout);
            if (cancelled && self.in_hand.is_empty()) || deadline.is_some_and(|at| at <= now) {
                let acks = self.core.acknowledge_all()?;
                self.acknowledge(acks).await?;
                return Ok(Drained {
                    unfinished: self.in_hand.len(),
                });
            }
            if deadline.is_some() && !cancelling {
                cancelling = true;
                self.channel
                    .basic_cancel(CONSUMER_TAG.into(), BasicCancelOptions::default())
                    .await?;
            }
            let wake_at = [self.core.due_at(), deadline].into_iter().flatten().min();
            tokio::select! {
                Some(done) = self.in_hand.next(), if !self.in_hand.is_empty() => {
                    self.settle(done).await?;
                    while let Some(Some(done)) = self.in_hand.next().now_or_never() {
                        self.settle(done).await?;
                    }
                }
                delivery = deliveries.next(), if !cancelled => match delivery {
                    Some(delivery) => {
                        self.take(delivery?).await?;
                        while let Some(Some(delivery)) = deliveries.next().now_or_never() {
                            self.take(delivery?).await?;
                        }
                    }
                    None if cancelling => cancelled = true,
                    None => return Err(Interruption::Cancelled),
                },
                Some(event) = events.next() => if let Event::Error(error) = event {
                    return Err(error.into());
                },
                _ = stop.requested(), if deadline.is_none() => {}
                () = sleep_until(wake_at.unwrap_or(now).into()), if wake_at.is_some() => {}
            }
        }
    }

    /// Finishes what is in hand though the channel is gone, and writes it down: its next delivery is a duplicate.
    pub(super) async fn wind_up(mut self) -> Result<(), JournalError> {
        let bound = self.settings.drain_timeout;
        let finish = async {
            while let Some(done) = self.in_hand.next().await {
                self.core.settle(&done, Instant::now())?;
                self.tell_handler(&done);
            }
            Ok(())
        };
        // What takes longer is handled again when it is delivered again.
        if let Ok(finished) = timeout(bound, finish).await {
            finished?;
        }
        self.core.end_session()
    }

    async fn take(&mut self, delivery: Delivery) -> Result<(), Interruption> {
        let tag = delivery.delivery_tag;
        match self.core.accept(delivery, Instant::now()) {
            Accepted::InHand(message) => {
                let limits = Limits {
                    retry_limit: self.settings.retry_limit,
                    delivery_limit: self.settings.delivery_limit.into(),
                };
                let work = work(
                    self.handler,
                    tag,
                    message,
                    limits,
                    &self.settings.broker,
                    self.metrics,
                );
                let mut work = work.boxed();
                // Most handlers are done at once, and such a delivery needs nobody to wait for it.
                match work.as_mut().now_or_never() {
                    Some(done) => self.settle(done).await,
                    None => {
                        self.in_hand.push(work);
                        Ok(())
                    }
                }
            }
            Accepted::Duplicate => Ok(()),
            Accepted::Undecodable => {
                let options = BasicRejectOptions { requeue: false };
                Ok(self.channel.basic_reject(tag, options).await?)
            }
        }
    }

    async fn settle(&mut self, done: Done) -> Result<(), Interruption> {
        let told = self.core.settle(&done, Instant::now())?;
        self.tell_handler(&done);
        match told {
            Told::Later => {}
            Told::Reject => {
                let options = BasicRejectOptions { requeue: true };
                self.channel.basic_reject(done.tag, options).await?;
            }
        }
        Ok(())
    }

    fn tell_handler(&self, done: &Done) {
        done.span
            .in_scope(|| self.handler.settled(&done.message, done.verdict));
    }

    async fn acknowledge(&self, acks: Vec<Ack>) -> Result<(), lapin::Error> {
        for Ack { tag, multiple } in acks {
            self.channel
                .basic_ack(tag, BasicAckOptions { multiple })
                .await?;
        }
        Ok(())
    }
}
