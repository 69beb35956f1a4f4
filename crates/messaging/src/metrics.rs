//! What publisher and consumer count and measure. No instrument has attributes: whose series it is says the scrape.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::metrics::{Counter, Histogram, Meter, ObservableGauge};

/// Upper bounds in seconds: a tenth of a millisecond, below which no broker answers, to a minute of outage.
const LATENCY_BUCKETS: [f64; 19] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 20.0, 30.0, 60.0,
];

/// The connections: `lab_broker_connected` (1 while all of them work, else 0), `lab_broker_connects_total`.
#[derive(Clone, Debug)]
pub struct LinkMetrics {
    missing: Arc<AtomicU64>,
    _connected: ObservableGauge<u64>,
    connects: Counter<u64>,
}

impl LinkMetrics {
    fn new(meter: &Meter) -> Self {
        let missing = Arc::new(AtomicU64::new(0));
        let observed = Arc::clone(&missing);
        Self {
            missing,
            _connected: meter
                .u64_observable_gauge("lab.broker.connected")
                .with_description("Whether every connection to the broker works.")
                .with_callback(move |gauge| {
                    gauge.observe(u64::from(observed.load(Ordering::Relaxed) == 0), &[]);
                })
                .build(),
            connects: counter(
                meter,
                "lab.broker.connects",
                "Connections to the broker that came to work.",
            ),
        }
    }

    /// Counts another connection, which does not work yet.
    pub(crate) fn link(&self) -> LinkMetric {
        let mut missing = Share::of(&self.missing);
        missing.set(1);
        LinkMetric {
            missing,
            connects: self.connects.clone(),
        }
    }
}

/// What one connection tells about itself.
#[derive(Debug)]
pub(crate) struct LinkMetric {
    missing: Share,
    connects: Counter<u64>,
}

impl LinkMetric {
    pub(crate) fn connected(&mut self, connected: bool) {
        self.missing.set(u64::from(!connected));
        if connected {
            self.connects.add(1, &[]);
        }
    }
}

/// What one connection adds to a figure of the whole process.
#[derive(Debug)]
pub(crate) struct Share {
    sum: Arc<AtomicU64>,
    own: u64,
}

impl Share {
    fn of(sum: &Arc<AtomicU64>) -> Self {
        Self {
            sum: Arc::clone(sum),
            own: 0,
        }
    }

    pub(crate) fn set(&mut self, own: u64) {
        if own != self.own {
            // It wraps when the share shrinks, and the sum wraps back.
            self.sum
                .fetch_add(own.wrapping_sub(self.own), Ordering::Relaxed);
            self.own = own;
        }
    }
}

/// The instruments of a publisher.
#[derive(Clone, Debug)]
pub struct PublisherMetrics {
    /// The connection.
    pub link: LinkMetrics,
    /// `lab_messages_published_total`: messages published for the first time.
    pub published: Counter<u64>,
    /// `lab_messages_confirmed_total`: messages that the broker took responsibility for.
    pub confirmed: Counter<u64>,
    /// `lab_messages_returned_total`: publishes that came back because no queue is bound.
    pub returned: Counter<u64>,
    /// `lab_messages_nacked_total`: publishes that the broker refused.
    pub nacked: Counter<u64>,
    /// `lab_messages_republished_total`: publishes of a message that was published before.
    pub republished: Counter<u64>,
    /// `lab_confirm_latency_seconds`: from a message's first publish to its confirm.
    pub confirm_latency: Histogram<f64>,
    outstanding: Arc<AtomicU64>,
    _outstanding_gauge: ObservableGauge<u64>,
}

impl PublisherMetrics {
    /// Registers the instruments.
    pub fn new(meter: &Meter) -> Self {
        let outstanding = Arc::new(AtomicU64::new(0));
        let observed = Arc::clone(&outstanding);
        Self {
            link: LinkMetrics::new(meter),
            published: counter(
                meter,
                "lab.messages.published",
                "Messages published for the first time.",
            ),
            confirmed: counter(
                meter,
                "lab.messages.confirmed",
                "Messages that the broker has confirmed.",
            ),
            returned: counter(
                meter,
                "lab.messages.returned",
                "Publishes that the broker returned as unroutable.",
            ),
            nacked: counter(
                meter,
                "lab.messages.nacked",
                "Publishes that the broker refused with a nack.",
            ),
            republished: counter(
                meter,
                "lab.messages.republished",
                "Publishes of a message that was published before.",
            ),
            confirm_latency: latency(
                meter,
                "lab.confirm.latency",
                "Time from a message's first publish to its confirm.",
            ),
            outstanding,
            _outstanding_gauge: meter
                .u64_observable_gauge("lab.outstanding.confirms")
                .with_description("Messages published and not yet confirmed.")
                .with_callback(move |gauge| gauge.observe(observed.load(Ordering::Relaxed), &[]))
                .build(),
        }
    }

    /// One connection's part of `lab_outstanding_confirms`.
    pub(crate) fn outstanding(&self) -> Share {
        Share::of(&self.outstanding)
    }
}

/// The instruments of a consumer.
#[derive(Clone, Debug)]
pub struct ConsumerMetrics {
    /// The connection.
    pub link: LinkMetrics,
    /// `lab_messages_consumed_total`: messages handled, each once.
    pub consumed: Counter<u64>,
    /// `lab_messages_redelivered_total`: deliveries that the broker marks as not the first.
    pub redelivered: Counter<u64>,
    /// `lab_messages_duplicate_total`: deliveries of messages that were handled before.
    pub duplicate: Counter<u64>,
    /// `lab_messages_rejected_total`: deliveries rejected, to be delivered again or not.
    pub rejected: Counter<u64>,
    /// `lab_messages_dead_lettered_total`: rejections that make the broker dead-letter the message.
    pub dead_lettered: Counter<u64>,
    /// `lab_messages_retried_total`: repeated attempts to handle a delivery after a transient failure.
    pub retried: Counter<u64>,
    /// `lab_end_to_end_latency_seconds`: from a message's making to its having been handled, by two clocks.
    pub end_to_end_latency: Histogram<f64>,
}

impl ConsumerMetrics {
    /// Registers the instruments.
    pub fn new(meter: &Meter) -> Self {
        Self {
            link: LinkMetrics::new(meter),
            consumed: counter(
                meter,
                "lab.messages.consumed",
                "Messages handled, duplicates not counted.",
            ),
            redelivered: counter(
                meter,
                "lab.messages.redelivered",
                "Deliveries that the broker marks as repeated.",
            ),
            duplicate: counter(
                meter,
                "lab.messages.duplicate",
                "Deliveries of messages that were handled before.",
            ),
            rejected: counter(
                meter,
                "lab.messages.rejected",
                "Deliveries rejected, to be delivered again or not.",
            ),
            dead_lettered: counter(
                meter,
                "lab.messages.dead.lettered",
                "Rejections that make the broker dead-letter the message.",
            ),
            retried: counter(
                meter,
                "lab.messages.retried",
                "Repeated attempts to handle a delivery after a transient failure.",
            ),
            end_to_end_latency: latency(
                meter,
                "lab.end.to.end.latency",
                "Time from a message's making to its having been handled.",
            ),
        }
    }
}

/// Records a duration into a histogram of seconds.
pub(crate) fn record(histogram: &Histogram<f64>, duration: Duration) {
    histogram.record(duration.as_secs_f64(), &[]);
}

fn counter(meter: &Meter, name: &'static str, help: &'static str) -> Counter<u64> {
    let counter = meter.u64_counter(name).with_description(help).build();
    // A series that is there from the start lets a rate see the first event.
    counter.add(0, &[]);
    counter
}

fn latency(meter: &Meter, name: &'static str, help: &'static str) -> Histogram<f64> {
    meter
        .f64_histogram(name)
        .with_description(help)
        .with_unit("s")
        .with_boundaries(LATENCY_BUCKETS.to_vec())
        .build()
}
