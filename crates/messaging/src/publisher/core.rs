//! The publisher without its connection: which message goes out next, and what each answer changes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::{
    backoff::Backoff,
    broker::{
        BrokerSettings,
        lane::{Arrival, Content, Lane},
        millis,
    },
    duplicates::Key,
    envelope::{Envelope, Template, new_id, payload},
    journal::{JournalError, Kind, SharedJournal, runs},
    metrics::{PublisherMetrics, Share, record},
    publisher::{
        PublisherSettings,
        confirm::{Confirms, Outcome},
        handle::{TracerError, TracerReceipt, TracerRequest},
        message::Message,
        pace::Pace,
        sampling::Sampling,
        window::{Confirmed, Window},
    },
};

/// What comes back at once is not sent back at once.
const FIRST_REFUSAL_DELAY: Duration = Duration::from_millis(100);
const LONGEST_REFUSAL_DELAY: Duration = Duration::from_secs(5);

/// What a message takes in the lane besides its payload: envelope, properties, frames. An estimate.
const OVERHEAD_BYTES: usize = 1 << 9;

pub(super) struct Core {
    metrics: PublisherMetrics,
    outstanding: Share,
    next_sequence: u64,
    template: Template,
    payload_bytes: usize,
    broker: BrokerSettings,
    publish_timeout: Duration,
    window: Window<Message>,
    confirms: Confirms,
    pace: Pace,
    sampling: Sampling,
    journal: Option<SharedJournal>,
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
        broker: BrokerSettings,
        journal: Option<SharedJournal>,
        metrics: PublisherMetrics,
    ) -> Self {
        let producer = new_id(jiff::Timestamp::now());
        Self {
            outstanding: metrics.outstanding(),
            metrics,
            next_sequence: 1,
            template: Template::new(producer, &payload(settings.payload_bytes)),
            payload_bytes: settings.payload_bytes,
            broker,
            publish_timeout: settings.publish_timeout,
            window: Window::new(settings.confirm_window),
            confirms: Confirms::new(),
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

    /// Whose messages these are.
    pub(super) fn producer(&self) -> Uuid {
        self.template.producer()
    }

    /// How many messages await their confirm.
    pub(super) fn outstanding(&self) -> usize {
        self.window.len()
    }

    /// Tells the metrics how many messages await their confirm.
    pub(super) fn tell_outstanding(&mut self) {
        self.outstanding.set(self.window.len() as u64);
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
        self.confirms = Confirms::new();
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

    /// Publishes what is due at this moment and has room in the lane: what goes out again, tracer messages, and new ones.
    pub(super) fn publish(&mut self, lane: &Lane, now: Instant, stopping: bool) {
        let room = lane
            .room_bytes()
            .div_ceil(self.payload_bytes + OVERHEAD_BYTES);
        let mut messages = Vec::new();
        if self.refusals.again_at.is_none_or(|at| at <= now) {
            self.refusals.again_at = None;
            messages.extend(std::iter::from_fn(|| self.window.again(now)).take(room));
            self.metrics.republished.add(messages.len() as u64, &[]);
        }
        if stopping {
            // Their askers see the dropped reply as the stop that it is.
            self.requests.clear();
        } else {
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
        }
        for message in messages {
            self.confirms.published(message.sequence);
            message.publish(&self.template, |publish| lane.publish(publish));
        }
    }

    /// When to [`publish`](Self::publish) again though no answer came.
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

    /// Takes what arrived together: what is confirmed is in the journal when this returns.
    pub(super) fn settle(
        &mut self,
        arrivals: Vec<Arrival>,
        now: Instant,
    ) -> Result<(), JournalError> {
        let mut confirmed = Vec::new();
        let mut refused = Vec::new();
        for arrival in arrivals {
            match arrival {
                Arrival::Returned(content) => self.note_return(&content),
                Arrival::Answer(answer) => {
                    let window = &mut self.window;
                    self.confirms
                        .answered(answer, |sequence, outcome| match outcome {
                            Outcome::Confirmed => confirmed.extend(window.confirm(sequence)),
                            Outcome::Returned => refused.push((sequence, TracerError::Returned)),
                            Outcome::Nacked => refused.push((sequence, TracerError::Nacked)),
                        });
                }
                Arrival::Delivery(_) => error!("the broker delivered a message to the producer"),
            }
        }
        for (sequence, error) in refused {
            self.refuse(sequence, error, now);
        }
        self.confirm(confirmed, now)
    }

    fn make(&mut self, request: Option<&TracerRequest>, now: Instant) -> Arc<Message> {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let tracer = request.map(|request| request.kind);
        let recorded = tracer.is_some() || self.sampling.admits(now);
        let message = Arc::new(Message::new(
            sequence,
            &self.template,
            tracer,
            recorded,
            &self.broker,
        ));
        self.window.admit(sequence, Arc::clone(&message), now);
        message
    }

    /// A message came back: it is known by its own content.
    fn note_return(&mut self, content: &Content) {
        match Envelope::decode(&content.body) {
            Ok(envelope) if envelope.producer == self.producer() => {
                self.confirms.returned(envelope.sequence);
            }
            Ok(_) | Err(_) => error!(
                bytes = content.body.len(),
                "the broker returned what was not published here"
            ),
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
        if let Some(journal) = &self.journal {
            let producer = self.producer();
            let mut keys: Vec<Key> = confirmed
                .iter()
                .map(|confirmed| (producer, confirmed.message.sequence))
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
                let receipt = receipt(self.producer(), &message, latency);
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
        match error {
            TracerError::Returned => self.metrics.returned.add(1, &[]),
            _ => self.metrics.nacked.add(1, &[]),
        }
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
