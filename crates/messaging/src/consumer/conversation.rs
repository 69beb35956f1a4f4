//! The consumer's talk with the broker over one channel, from the first delivery to the last acknowledgement.

use std::time::Instant;

use futures_util::{
    FutureExt as _, Stream, StreamExt as _,
    future::{BoxFuture, OptionFuture},
    stream::FuturesUnordered,
};
use lapin::{Event, options::BasicCancelOptions};
use tokio::time::{sleep_until, timeout};
use tracing::error;

use crate::{
    broker::lane::{Arrival, Delivery, Lane},
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
    turns::Turns,
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
    lane: Lane,
    in_hand: FuturesUnordered<BoxFuture<'a, Done>>,
}

impl<'a, H: Handler> Conversation<'a, H> {
    pub(super) fn new(
        handler: &'a H,
        settings: &'a ConsumerSettings,
        metrics: &'a ConsumerMetrics,
        core: &'a mut Core,
        lane: Lane,
    ) -> Self {
        core.begin_session();
        Self {
            handler,
            settings,
            metrics,
            core,
            lane,
            in_hand: FuturesUnordered::new(),
        }
    }

    /// Consumes until a stop is asked for and everything in hand is finished, or its time is up.
    ///
    /// `consumer` is lapin's, which no delivery reaches: it tells when there will be no more.
    pub(super) async fn run(
        &mut self,
        mut consumer: lapin::Consumer,
        mut events: impl Stream<Item = Event> + Unpin,
        stop: &mut Stop,
    ) -> Result<Drained, Interruption> {
        let mut cancel = OptionFuture::default();
        let (mut cancelling, mut cancelled) = (false, false);
        let mut turns = Turns::new(Instant::now());
        loop {
            let now = Instant::now();
            let acks = self.core.acknowledge(now)?;
            self.acknowledge(acks);
            let deadline = stop
                .requested_at()
                .map(|at| at + self.settings.drain_timeout);
            if (cancelled && self.in_hand.is_empty()) || deadline.is_some_and(|at| at <= now) {
                let acks = self.core.acknowledge_all()?;
                self.acknowledge(acks);
                return Ok(Drained {
                    unfinished: self.in_hand.len(),
                });
            }
            if deadline.is_some() && !cancelling {
                cancelling = true;
                let channel = self.lane.channel().clone();
                let asked = async move {
                    let options = BasicCancelOptions::default();
                    channel.basic_cancel(CONSUMER_TAG.into(), options).await
                };
                cancel = Some(asked.boxed()).into();
            }
            let wake_at = [self.core.due_at(), deadline].into_iter().flatten().min();
            turns.pass(now).await;
            tokio::select! {
                Some(done) = self.in_hand.next(), if !self.in_hand.is_empty() => {
                    self.settle(done)?;
                    while let Some(Some(done)) = self.in_hand.next().now_or_never() {
                        self.settle(done)?;
                    }
                }
                arrivals = self.lane.arrivals(false) => {
                    for arrival in arrivals {
                        match arrival {
                            Arrival::Delivery(delivery) => self.take(delivery)?,
                            Arrival::Answer(_) | Arrival::Returned(_) => {
                                error!("the broker answered a publish to the consumer, which makes none");
                            }
                        }
                    }
                }
                // What was delivered before has arrived by now, and was taken.
                Some(ended) = &mut cancel, if !cancelled => {
                    ended?;
                    cancelled = true;
                }
                ended = consumer.next(), if !cancelling => match ended {
                    Some(Err(error)) => return Err(error.into()),
                    Some(Ok(_)) | None => return Err(Interruption::Cancelled),
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

    fn take(&mut self, delivery: Delivery) -> Result<(), JournalError> {
        let tag = delivery.tag;
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
                    Some(done) => self.settle(done),
                    None => {
                        self.in_hand.push(work);
                        Ok(())
                    }
                }
            }
            Accepted::Duplicate => Ok(()),
            Accepted::Undecodable => {
                self.lane.reject(tag, false);
                Ok(())
            }
        }
    }

    fn settle(&mut self, done: Done) -> Result<(), JournalError> {
        let told = self.core.settle(&done, Instant::now())?;
        self.tell_handler(&done);
        match told {
            Told::Later => {}
            Told::Reject => self.lane.reject(done.tag, true),
        }
        Ok(())
    }

    fn tell_handler(&self, done: &Done) {
        done.span
            .in_scope(|| self.handler.settled(&done.message, done.verdict));
    }

    fn acknowledge(&self, acks: Vec<Ack>) {
        for Ack { tag, multiple } in acks {
            self.lane.ack(tag, multiple);
        }
    }
}
