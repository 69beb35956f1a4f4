//! The publisher: one connection, a window of outstanding confirms, and no message given up before it is confirmed.
//!
//! Each message has a place in the producer's sequence and keeps it when it is published again: after a lost connection,
//! a return (no queue is bound), a nack, or an overdue confirm. The consumer recognises the copies.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use lapin::{
    Event, ExchangeKind,
    options::{ConfirmSelectOptions, ExchangeDeclareOptions},
    types::FieldTable,
};
use tokio::{
    sync::mpsc,
    time::{sleep, sleep_until},
};

use crate::{
    broker::{BrokerError, BrokerSettings, Link, TopologyObject, Wire, lane::Lane},
    journal::{Journal, JournalError},
    metrics::PublisherMetrics,
    publisher::core::Core,
    stop::Stop,
    topology::EXCHANGE,
};

pub use handle::{PublisherHandle, TracerError, TracerReceipt};

mod confirm;
mod core;
mod handle;
mod message;
mod pace;
mod sampling;
mod window;

/// Looks after what no answer tells: the overdue one among them.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// The next message of a small window waits for the confirms, and so they are not made to wait.
const READ_PAUSE: Duration = Duration::ZERO;

/// What a publisher does.
#[derive(Clone, Debug)]
pub struct PublisherSettings {
    /// The broker and the account.
    pub broker: BrokerSettings,
    /// New messages a second, 0 for as fast as the window allows.
    pub rate: u32,
    /// The size of each payload.
    pub payload_bytes: usize,
    /// How many traces are recorded a second at most, 0 for none but those of tracer messages.
    pub trace_rate: u32,
    /// How many messages may await their confirm, at least 1.
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
    core: Core,
    link: Link,
    requests: mpsc::Receiver<handle::TracerRequest>,
    drain_timeout: Duration,
}

/// How a publisher ended that was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Messages whose confirm did not come in time; the journal does not have them.
    pub unconfirmed: usize,
}

impl Publisher {
    /// Makes a publisher with a producer id of its own, and the way to it while it runs.
    ///
    /// # Errors
    ///
    /// The journal cannot be opened.
    pub fn new(
        settings: PublisherSettings,
        metrics: PublisherMetrics,
    ) -> Result<(Self, PublisherHandle), JournalError> {
        let journal = settings.journal.as_deref().map(Journal::open).transpose()?;
        let link = Link::new(settings.broker.clone(), metrics.link.clone());
        let core = Core::new(&settings, journal, metrics);
        // Room for a few requests; the others wait for theirs within their own time.
        let (sender, requests) = mpsc::channel(16);
        let handle = PublisherHandle {
            producer: core.producer,
            status: link.status(),
            requests: sender,
            publish_timeout: settings.publish_timeout,
        };
        let publisher = Self {
            core,
            link,
            requests,
            drain_timeout: settings.drain_timeout,
        };
        Ok((publisher, handle))
    }

    /// Publishes until it is asked to stop, through any number of connections, and then waits for outstanding confirms.
    ///
    /// # Errors
    ///
    /// The journal cannot be written: a producer that cannot keep its ledger ends at once.
    pub async fn run(mut self, mut stop: Stop) -> Result<Drained, JournalError> {
        loop {
            let wait = self.drain_timeout;
            let outstanding = self.core.outstanding();
            let session = tokio::select! {
                session = self.link.establish(open) => session,
                () = given_up(&mut stop, outstanding, wait) => break,
            };
            let error = match self.serve(session, &mut stop).await? {
                End::Drained => break,
                End::Lost(error) => error,
            };
            let outstanding = self.core.outstanding();
            tokio::select! {
                () = self.link.lost(&error) => {}
                () = given_up(&mut stop, outstanding, wait) => break,
            }
        }
        self.link.closed();
        Ok(Drained {
            unconfirmed: self.core.outstanding(),
        })
    }

    /// Publishes over one channel for as long as it lives.
    async fn serve(&mut self, session: Session, stop: &mut Stop) -> Result<End, JournalError> {
        let Session { wire, lane } = session;
        self.core.begin_session();
        let end = self.converse(&wire, lane, stop).await;
        self.core.end_session();
        self.core.metrics.outstanding(self.core.outstanding());
        if matches!(end, Ok(End::Drained)) {
            wire.close().await;
        }
        end
    }

    async fn converse(
        &mut self,
        wire: &Wire,
        mut lane: Lane,
        stop: &mut Stop,
    ) -> Result<End, JournalError> {
        let core = &mut self.core;
        let mut events = wire.events();
        let mut blocked = false;
        loop {
            let now = Instant::now();
            let stopping = stop.requested_at();
            if !blocked {
                core.publish(&lane, now, stopping.is_some());
            }
            let full = lane.room_bytes() == 0;
            core.metrics.outstanding(core.outstanding());
            if let Some(at) = stopping
                && (core.outstanding() == 0 || now >= at + self.drain_timeout)
            {
                return Ok(End::Drained);
            }
            let mut wake_at = now + LONGEST_NAP;
            if !blocked {
                let overdue_at = core.overdue_at();
                if overdue_at.is_some_and(|at| at <= now) {
                    return Ok(End::Lost(self.link.confirm_overdue(core.publish_timeout())));
                }
                // What has no room is due, and time does not make any.
                let next_at = core.wake_at().filter(|_| !full);
                let due_at = [overdue_at, next_at].into_iter().flatten().min();
                wake_at = due_at.unwrap_or(wake_at).min(wake_at);
            }
            // The answers need no budget of the runtime's; without this a stream of them would starve its other tasks.
            tokio::task::coop::consume_budget().await;
            tokio::select! {
                arrivals = lane.arrivals(full && !blocked) => core.settle(arrivals, Instant::now())?,
                Some(event) = events.next() => match event {
                    Event::ConnectionBlocked(reason) => {
                        blocked = true;
                        self.link.blocked(Some(reason));
                    }
                    Event::ConnectionUnblocked => {
                        blocked = false;
                        core.restart_clock();
                        self.link.blocked(None);
                    }
                    Event::Error(error) => return Ok(End::Lost(self.link.session_error(error))),
                    _ => {}
                },
                Some(request) = self.requests.recv(), if core.has_room() => core.request(request),
                _ = stop.requested(), if stopping.is_none() => {}
                () = sleep_until(wake_at.into()) => {}
            }
        }
    }
}

/// The messages of a channel in confirm mode and the connection under it.
struct Session {
    wire: Wire,
    lane: Lane,
}

enum End {
    Drained,
    Lost(BrokerError),
}

/// Opens a channel, turns confirms on and makes sure that the exchange is there.
async fn open(wire: Wire, settings: &BrokerSettings) -> Result<Session, BrokerError> {
    let session_error = |error| BrokerError::from_session(error, settings);
    let channel = wire.channel().await.map_err(session_error)?;
    let passive = ExchangeDeclareOptions {
        passive: true,
        ..ExchangeDeclareOptions::default()
    };
    channel
        .exchange_declare(
            EXCHANGE.into(),
            ExchangeKind::Topic,
            passive,
            FieldTable::default(),
        )
        .await
        .map_err(|error| {
            BrokerError::from_lookup(error, TopologyObject::Exchange(EXCHANGE), settings)
        })?;
    let lane = wire.lane(channel, READ_PAUSE).map_err(session_error)?;
    lane.channel()
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .map_err(session_error)?;
    Ok(Session { wire, lane })
}

/// Waits until a stop may leave the outstanding messages unconfirmed.
async fn given_up(stop: &mut Stop, outstanding: usize, drain_timeout: Duration) {
    let requested_at = stop.requested().await;
    if outstanding > 0 {
        sleep(drain_timeout.saturating_sub(requested_at.elapsed())).await;
    }
}
