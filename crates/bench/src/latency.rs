//! Latencies as every competitor tells them of itself.

/// A latency, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// The median.
    pub p50_ms: f64,
    /// What 99 of 100 messages stay below.
    pub p99_ms: f64,
}

/// The latencies of a measured interval; one that was not measured is `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latencies {
    /// From a publish to its confirm.
    pub confirm: Option<Latency>,
    /// From a publish to its consumer.
    pub end_to_end: Option<Latency>,
}
