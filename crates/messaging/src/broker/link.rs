//! The standing wish for a connection: connects for ever, tells the state, and says what there is to say.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::{
    backoff::Backoff,
    broker::{
        BrokerError, BrokerSettings, Wire, chain, millis,
        outage::{Loudness, Outage},
    },
    metrics::{LinkMetric, LinkMetrics},
};

const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// A connection that lived this long begins the back-off anew; a shorter one may be refused again at once.
const STABLE_AFTER: Duration = Duration::from_secs(2);

/// Whether the broker does what we ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Connected,
    /// It accepts no messages for lack of memory or disk (`connection.blocked`).
    Blocked {
        /// When it began.
        since: Instant,
        /// The broker's words.
        reason: String,
    },
    /// There is no connection.
    Disconnected {
        /// When the outage began.
        since: Instant,
        /// Failed attempts since then.
        attempts: u32,
        /// The last failure with its causes; what is being waited for before the first.
        cause: String,
    },
}

impl Status {
    /// Why nothing goes through, and since when; `None` while it does.
    pub fn obstacle(&self) -> Option<(String, Instant)> {
        match self {
            Self::Connected => None,
            Self::Blocked { since, reason } => {
                Some((format!("the broker takes no messages: {reason}"), *since))
            }
            Self::Disconnected {
                since,
                attempts: 0,
                cause,
            } => Some((cause.clone(), *since)),
            Self::Disconnected {
                since,
                attempts,
                cause,
            } => Some((format!("{cause} (attempt {attempts})"), *since)),
        }
    }
}

/// The connection of one publisher or consumer, over all its lives.
pub(crate) struct Link {
    settings: BrokerSettings,
    status: watch::Sender<Status>,
    metric: LinkMetric,
    backoff: Backoff,
    outage: Option<Outage>,
    connected_at: Option<Instant>,
}

impl Link {
    pub(crate) fn new(settings: BrokerSettings, metrics: &LinkMetrics) -> Self {
        let cause = format!("the broker at {} was not asked yet", settings.address());
        let (status, _) = watch::channel(Status::Disconnected {
            since: Instant::now(),
            attempts: 0,
            cause,
        });
        Self {
            settings,
            status,
            metric: metrics.link(),
            backoff: Backoff::new(FIRST_DELAY, LONGEST_DELAY),
            outage: None,
            connected_at: None,
        }
    }

    /// What ended a session, for people.
    pub(crate) fn session_error(&self, error: lapin::Error) -> BrokerError {
        BrokerError::from_session(error, &self.settings)
    }

    pub(crate) fn confirm_overdue(&self, after: Duration) -> BrokerError {
        BrokerError::ConfirmOverdue {
            address: self.settings.address(),
            after,
        }
    }

    pub(crate) fn consumer_cancelled(&self, queue: &'static str) -> BrokerError {
        BrokerError::ConsumerCancelled {
            address: self.settings.address(),
            queue,
        }
    }

    pub(crate) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Connects and sets up, as often as it takes. Cancel safe: a dropped attempt leaves nothing behind.
    pub(crate) async fn establish<S>(
        &mut self,
        set_up: impl AsyncFn(Wire, &BrokerSettings) -> Result<S, BrokerError>,
    ) -> S {
        loop {
            let attempt = async {
                let wire = Wire::connect(&self.settings).await?;
                set_up(wire, &self.settings).await
            };
            match attempt.await {
                Ok(session) => {
                    self.connected();
                    return session;
                }
                Err(error) => self.wait_after(&error).await,
            }
        }
    }

    /// Tells that the session has ended, and waits before the next attempt.
    pub(crate) async fn lost(&mut self, error: &BrokerError) {
        if self
            .connected_at
            .take()
            .is_some_and(|at| at.elapsed() >= STABLE_AFTER)
        {
            self.backoff.reset();
        }
        self.wait_after(error).await;
    }

    /// Tells that the broker blocks the connection (`Some` of its reason) or no longer does.
    pub(crate) fn blocked(&self, reason: Option<String>) {
        match reason {
            Some(reason) => {
                warn!(address = %self.settings.address(), reason, "the broker takes no messages");
                self.status.send_replace(Status::Blocked {
                    since: Instant::now(),
                    reason,
                });
            }
            None => {
                info!(address = %self.settings.address(), "the broker takes messages again");
                self.status.send_replace(Status::Connected);
            }
        }
    }

    /// Tells that the connection was closed on purpose.
    pub(crate) fn closed(&mut self) {
        self.metric.connected(false);
        self.status.send_replace(Status::Disconnected {
            since: Instant::now(),
            attempts: 0,
            cause: "stopping".to_owned(),
        });
    }

    fn connected(&mut self) {
        let address = self.settings.address();
        match self.outage.take() {
            Some(outage) => info!(
                address,
                attempts = outage.attempts,
                outage_ms = millis(outage.since.elapsed()),
                "connected to the broker again"
            ),
            None => info!(address, "connected to the broker"),
        }
        self.connected_at = Some(Instant::now());
        self.metric.connected(true);
        self.status.send_replace(Status::Connected);
    }

    async fn wait_after(&mut self, error: &BrokerError) {
        let now = Instant::now();
        let cause = chain(error);
        let outage = self.outage.get_or_insert_with(|| Outage::begin(now));
        let loudness = outage.failed(now, &cause, error.needs_a_person());
        let (since, attempts) = (outage.since, outage.attempts);
        self.metric.connected(false);
        report(loudness, &cause, error.hint(), since, attempts);
        self.status.send_replace(Status::Disconnected {
            since,
            attempts,
            cause,
        });
        let delay = if error.needs_a_person() {
            self.backoff.longest(fastrand::f64())
        } else {
            self.backoff.delay(fastrand::f64())
        };
        tokio::time::sleep(delay).await;
    }
}

fn report(loudness: Loudness, cause: &str, hint: Option<String>, since: Instant, attempts: u32) {
    let hint = hint.unwrap_or_default();
    let outage_ms = millis(since.elapsed());
    match loudness {
        Loudness::Debug => debug!(
            cause,
            attempts, outage_ms, "still no connection to the broker"
        ),
        Loudness::Info => info!(
            cause,
            hint, "no connection to the broker; trying until there is one"
        ),
        Loudness::Warn => warn!(
            cause,
            hint, attempts, outage_ms, "no connection to the broker; trying until there is one"
        ),
    }
}
