//! The publisher without its connection: which message goes out next, and what each answer changes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use lapin::message::BasicReturnMessage;
use tokio::sync::oneshot;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::{
    backoff::Backoff,
    broker::{BrokerSettings, millis},
    duplicates::Key,
    envelope::{Envelope, new_id, payload},
    journal::{Journal, JournalError, Kind, runs},
    metrics::{PublisherMetrics, record},
    publisher::{
        PublisherSettings,
        backlog::queued_bytes,
        confirm::{Answer, Outcome, Returns},
        handle::{TracerError, TracerReceipt, TracerRequest},
        message::{Confirm, Message},
        pace::Pace,
        sampling::Sampling,
        window::{Confirmed, Window},
    },
};

/// What comes back at once is not sent back at once.
const FIRST_REFUSAL_DELAY: Duration = Duration::from_millis(100);
const LONGEST_REFUSAL_DELAY: Duration = Duration::from_secs(5);

pub(super) struct Core {
    pub(super) producer: Uuid,
    pub(super) metrics: PublisherMetrics,
    next_sequence: u64,
    payload: String,
    broker: BrokerSettings,
    publish_timeout: Duration,
    window: Window<Message>,
    returns: Returns,
    pace: Pace,
    sampling: Sampling,
    journal: Option<Journal>,
    requests: VecDeque<TracerRequest>,
    waiters: BTreeMap<u64, oneshot::Sender<Result<TracerReceipt, TracerError>>>,
    refusals: Refusals,
}

/// Messages that the broker returned or refused and has not confirmed since, and when to publish them again.
struct Refusals {
    messages: BTreeSet<u64>,
    since: Instant,
    again_at: Option<Instant>,
    backoff: Backoff,
}

impl Core {
    pub(super) fn new(
        settings: &PublisherSettings,
        journal: Option<Journal>,
        metrics: PublisherMetrics,
    ) -> Self {
        Self {
            producer: new_id(jiff::Timestamp::now()),
            metrics,
            next_sequence: 1,
            payload: payload(settings.payload_bytes),
            broker: settings.broker.clone(),
            publish_timeout: settings.publish_timeout,
            window: Window::new(settings.confirm_window),
            returns: Returns::default(),
            pace: Pace::new(settings.rate, Instant::now()),
            sampling: Sampling::new(settings.trace_rate, Instant::now()),
            journal,
            requests: VecDeque::new(),
            waiters: BTreeMap::new(),
            refusals: Refusals {
                messages: BTreeSet::new(),
                since: Instant::now(),
                again_at: None,
                backoff: Backoff::new(FIRST_REFUSAL_DELAY, LONGEST_REFUSAL_DELAY),
            },
        }
    }

    /// How many messages await their confirm.
    pub(super) fn outstanding(&self) -> usize {
        self.window.len()
    }

    /// How long the broker may take to answer.
    pub(super) fn publish_timeout(&self) -> Duration {
        self.publish_timeout
    }

    /// Whether a tracer message has room.
    pub(super) fn has_room(&self) -> bool {
        self.window.room() > self.requests.len()
    }

    pub(super) fn request(&mut self, request: TracerRequest) {
        self.requests.push_back(request);
    }

    /// Begins on a new channel, which knows nothing of what the last one owed.
    pub(super) fn begin_session(&mut self) {
        self.returns = Returns::default();
        self.refusals.again_at = None;
        self.window.give_back_all();
    }

    /// The channel is gone: whoever waits for a confirm is told, and the messages stay outstanding.
    pub(super) fn end_session(&mut self) {
        for (_, waiter) in std::mem::take(&mut self.waiters) {
            // The asker may have gone.
            let _ = waiter.send(Err(TracerError::Lost));
        }
    }

    /// The messages to publish at this moment, into a backlog with `room_bytes`: those that go out again, tracer messages,
    /// and new ones as they are due.
    pub(super) fn next(
        &mut self,
        now: Instant,
        stopping: bool,
        room_bytes: usize,
    ) -> Vec<Arc<Message>> {
        let room = room_bytes.div_ceil(queued_bytes(self.payload.len()));
        let mut messages = Vec::new();
        if self.refusals.again_at.is_none_or(|at| at <= now) {
            self.refusals.again_at = None;
            messages.extend(std::iter::from_fn(|| self.window.again(now)).take(room));
            self.metrics.republished.add(messages.len() as u64, &[]);
        }
        if stopping {
            // Their askers see the dropped reply as the stop that it is.
            self.requests.clear();
            return messages;
        }
        let before = self.next_sequence;
        while let Some(request) = self.requests.pop_front() {
            let message = self.make(Some(&request), now);
            self.waiters.insert(message.sequence, request.reply);
            messages.push(message);
        }
        let room = room.saturating_sub(messages.len()).min(self.window.room());
        for _ in 0..self.pace.due(now, room) {
            messages.push(self.make(None, now));
        }
        self.metrics.published.add(self.next_sequence - before, &[]);
        messages
    }

    /// When to ask [`next`](Self::next) again though no answer came.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let pace = self.pace.next_at().filter(|_| self.window.room() > 0);
        [pace, self.refusals.again_at].into_iter().flatten().min()
    }

    /// When the oldest answer is overdue.
    pub(super) fn overdue_at(&mut self) -> Option<Instant> {
        self.window
            .oldest_in_flight()
            .map(|at| at + self.publish_timeout)
    }

    /// The broker owed no answers until now.
    pub(super) fn restart_clock(&mut self) {
        self.window.restart_clock(Instant::now());
    }

    /// Takes answers that arrived together: what is confirmed is in the journal when this returns.
    pub(super) fn settle(
        &mut self,
        confirms: Vec<Confirm>,
        now: Instant,
    ) -> Result<(), JournalError> {
        let mut returned = BTreeMap::new();
        let answers: Vec<Answer> = confirms
            .into_iter()
            .map(|confirm| Answer {
                sequence: confirm.sequence,
                acked: confirm.acked,
                returned: confirm
                    .returned
                    .and_then(|message| self.sequence_of(*message, &mut returned)),
            })
            .collect();
        let mut confirmed = Vec::with_capacity(answers.len());
        for (sequence, outcome) in self.returns.judge(&answers) {
            match outcome {
                Outcome::Confirmed => confirmed.extend(self.window.confirm(sequence)),
                Outcome::Uncertain => self.window.give_back(sequence),
                Outcome::Returned => {
                    self.metrics.returned.add(1, &[]);
                    self.refuse(sequence, TracerError::Returned, now);
                }
                Outcome::Nacked => {
                    self.metrics.nacked.add(1, &[]);
                    self.refuse(sequence, TracerError::Nacked, now);
                }
            }
        }
        self.take_back_misjudged(returned, now);
        self.confirm(confirmed, now)
    }

    fn make(&mut self, request: Option<&TracerRequest>, now: Instant) -> Arc<Message> {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let tracer = request.map(|request| request.kind);
        let recorded = tracer.is_some() || self.sampling.admits(now);
        let message = Arc::new(Message::new(
            self.producer,
            sequence,
            &self.payload,
            tracer,
            recorded,
            &self.broker,
        ));
        self.window.admit(sequence, Arc::clone(&message), now);
        message
    }

    /// The number of a returned message, by its own content; the message is kept in `returned`.
    fn sequence_of(
        &self,
        message: BasicReturnMessage,
        returned: &mut BTreeMap<u64, Message>,
    ) -> Option<u64> {
        let delivery = message.delivery;
        let Ok(envelope) = Envelope::decode(&delivery.data) else {
            error!(
                bytes = delivery.data.len(),
                "the broker returned what was not published here"
            );
            return None;
        };
        let sequence = envelope.sequence;
        if !self.window.is_outstanding(sequence) {
            let message = Message::from_return(&envelope, &delivery.data, &delivery.properties);
            returned.insert(sequence, message);
        }
        Some(sequence)
    }

    /// Puts messages back that were taken for confirmed and then turned out to be returned.
    ///
    /// lapin completes the confirm that carries a return no later than the returned message's own, and answers are
    /// judged in batches of all that are there, so this is a second safeguard.
    fn take_back_misjudged(&mut self, mut returned: BTreeMap<u64, Message>, now: Instant) {
        let misjudged: Vec<u64> = self
            .returns
            .unanswered()
            .filter(|&sequence| !self.window.is_outstanding(sequence))
            .collect();
        for sequence in misjudged {
            self.returns.forget(sequence);
            if let Some(message) = returned.remove(&sequence) {
                self.window.admit(sequence, Arc::new(message), now);
                self.window.give_back(sequence);
            }
        }
    }

    fn confirm(
        &mut self,
        confirmed: Vec<Confirmed<Message>>,
        now: Instant,
    ) -> Result<(), JournalError> {
        if confirmed.is_empty() {
            return Ok(());
        }
        if let Some(journal) = &mut self.journal {
            let mut keys: Vec<Key> = confirmed
                .iter()
                .map(|confirmed| (self.producer, confirmed.message.sequence))
                .collect();
            journal.append(Kind::Confirmed, runs(&mut keys))?;
        }
        self.metrics.confirmed.add(confirmed.len() as u64, &[]);
        for Confirmed {
            message,
            first_published,
        } in confirmed
        {
            let latency = now.saturating_duration_since(first_published);
            record(&self.metrics.confirm_latency, latency);
            self.note_acceptance(message.sequence, now);
            if let Some(waiter) = self.waiters.remove(&message.sequence) {
                let receipt = receipt(self.producer, &message, latency);
                message.span.in_scope(|| {
                    info!(message_id = %receipt.message_id, confirm_ms = receipt.confirm_ms, "tracer message confirmed");
                });
                // The asker may have gone.
                let _ = waiter.send(Ok(receipt));
            }
        }
        Ok(())
    }

    /// Puts a message back, to be published again after a growing delay.
    fn refuse(&mut self, sequence: u64, error: TracerError, now: Instant) {
        self.window.give_back(sequence);
        let refusals = &mut self.refusals;
        if refusals.messages.is_empty() {
            refusals.since = now;
            warn!(
                cause = %error,
                hint = "restore the topology and its bindings from manifests/rabbitmq/topology.json, or make room",
                "the broker does not take messages; publishing them again until it does"
            );
        }
        refusals.messages.insert(sequence);
        if refusals.again_at.is_none() {
            refusals.again_at = Some(now + refusals.backoff.delay(fastrand::f64()));
        }
        if let Some(waiter) = self.waiters.remove(&sequence) {
            // The asker may have gone.
            let _ = waiter.send(Err(error));
        }
    }

    fn note_acceptance(&mut self, sequence: u64, now: Instant) {
        let refusals = &mut self.refusals;
        if refusals.messages.remove(&sequence) && refusals.messages.is_empty() {
            refusals.backoff.reset();
            let refused_ms = millis(now.saturating_duration_since(refusals.since));
            info!(refused_ms, "the broker takes messages again");
        }
    }
}

fn receipt(producer_id: Uuid, message: &Message, latency: Duration) -> TracerReceipt {
    TracerReceipt {
        message_id: message.id,
        producer_id,
        sequence: message.sequence,
        trace_id: message.trace.trace_id().to_string(),
        span_id: message.trace.span_id().to_string(),
        confirm_ms: latency.as_secs_f64() * 1000.0,
    }
}
