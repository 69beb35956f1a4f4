//! One connection of a publisher, over all its lives.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use lapin::{
    Event, ExchangeKind,
    options::{ConfirmSelectOptions, ExchangeDeclareOptions},
    types::FieldTable,
};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, sleep_until},
};
use uuid::Uuid;

use crate::{
    broker::{BrokerError, BrokerSettings, Link, Status, TopologyObject, Wire, lane::Lane},
    journal::{JournalError, SharedJournal},
    metrics::PublisherMetrics,
    publisher::{Drained, PublisherSettings, core::Core, handle::TracerRequest},
    stop::Stop,
    topology::EXCHANGE,
    turns::Turns,
};

/// Looks after what no answer tells: the overdue one among them.
const LONGEST_NAP: Duration = Duration::from_secs(1);

/// The next message of a small window waits for the confirms, and so they are not made to wait.
const READ_PAUSE: Duration = Duration::ZERO;

/// A producer id, its sequence, and the connection that carries it.
pub(super) struct Connection {
    core: Core,
    link: Link,
    requests: mpsc::Receiver<TracerRequest>,
    drain_timeout: Duration,
}

impl Connection {
    /// Makes a connection to this broker with a producer id of its own.
    pub(super) fn new(
        settings: &PublisherSettings,
        broker: BrokerSettings,
        journal: Option<SharedJournal>,
        metrics: &PublisherMetrics,
        requests: mpsc::Receiver<TracerRequest>,
    ) -> Self {
        Self {
            core: Core::new(settings, broker.clone(), journal, metrics.clone()),
            link: Link::new(broker, &metrics.link),
            requests,
            drain_timeout: settings.drain_timeout,
        }
    }

    pub(super) fn producer(&self) -> Uuid {
        self.core.producer()
    }

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.link.status()
    }

    /// Publishes until it is asked to stop, and then waits for outstanding confirms.
    ///
    /// # Errors
    ///
    /// The journal cannot be written.
    pub(super) async fn run(mut self, mut stop: Stop) -> Result<Drained, JournalError> {
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
        self.core.tell_outstanding();
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
        let mut turns = Turns::new(Instant::now());
        loop {
            let now = Instant::now();
            let stopping = stop.requested_at();
            if !blocked {
                core.publish(&lane, now, stopping.is_some());
            }
            let full = lane.room_bytes() == 0;
            core.tell_outstanding();
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
            turns.pass(now).await;
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
