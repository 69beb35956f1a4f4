//! What is measured: the cases, their names, and who competes in each.

use std::fmt;

use serde::Serialize;

/// Payloads of the throughput cases in bytes. 12 is what PerfTest needs for a time and a number.
const PAYLOADS: [usize; 3] = [12, 1024, 64 * 1024];

/// Confirm windows of the throughput cases: one after another, a few, and as many as a quorum queue likes.
const WINDOWS: [usize; 3] = [1, 192, 3000];

/// Connections on each side in the throughput cases.
const CONNECTIONS: [usize; 2] = [1, 4];

/// Messages a second of the latency cases.
const RATES: [u32; 2] = [1000, 10_000];

/// Deliveries that each consumer may hold, for every competitor: the consumer's default.
pub const PREFETCH: u16 = 300;

/// Deliveries that are acknowledged together, for every competitor: the consumer's default.
pub const ACK_BATCH: u16 = 100;

/// The type of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueType {
    /// A classic queue, durable.
    Classic,
    /// A quorum queue.
    Quorum,
}

impl QueueType {
    /// The value of the argument `x-queue-type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Competitor {
    /// The producer and the consumer with their defaults: logs and metrics.
    Lab,
    /// RabbitMQ PerfTest.
    PerfTest,
    /// The producer and the consumer with logs, scraped metrics, a span for each message, and profiles.
    TelemetryOn,
    /// The producer and the consumer with nothing of it.
    TelemetryOff,
}

impl Competitor {
    /// The name in tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::PerfTest => "perf-test",
            Self::TelemetryOn => "telemetry-on",
            Self::TelemetryOff => "telemetry-off",
        }
    }
}

/// What a case asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// How many messages pass.
    Throughput,
    /// How long a message takes at a fixed rate.
    Latency,
    /// What telemetry costs.
    Telemetry,
}

/// One case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Case {
    /// What it asks.
    pub question: Question,
    /// The type of the queue.
    pub queue: QueueType,
    /// Bytes of payload in each message.
    pub payload_bytes: usize,
    /// Messages of a connection that may await their confirm.
    pub confirm_window: usize,
    /// Connections that publish, and as many that consume.
    pub connections: usize,
    /// Messages a second; `None` for as many as pass.
    pub rate: Option<u32>,
}

impl Case {
    /// Every case, in the order in which they are measured.
    pub fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for queue in [QueueType::Classic, QueueType::Quorum] {
            for payload_bytes in PAYLOADS {
                for confirm_window in WINDOWS {
                    cases.extend(CONNECTIONS.map(|connections| Self {
                        question: Question::Throughput,
                        queue,
                        payload_bytes,
                        confirm_window,
                        connections,
                        rate: None,
                    }));
                }
            }
            let kilobyte = |question, rate| Self {
                question,
                queue,
                payload_bytes: 1024,
                confirm_window: 3000,
                connections: 1,
                rate,
            };
            cases.extend(RATES.map(|rate| kilobyte(Question::Latency, Some(rate))));
            cases.push(kilobyte(Question::Telemetry, None));
        }
        cases
    }

    /// Whether the name contains the pattern, in which `*` stands for anything.
    pub fn matches(&self, pattern: &str) -> bool {
        let name = self.to_string();
        let mut rest = name.as_str();
        pattern.split('*').all(|part| match rest.find(part) {
            Some(at) => {
                rest = &rest[at + part.len()..];
                true
            }
            None => false,
        })
    }

    /// The two that are compared: ratios are the first's by the second's.
    pub const fn competitors(&self) -> [Competitor; 2] {
        match self.question {
            Question::Throughput | Question::Latency => [Competitor::Lab, Competitor::PerfTest],
            Question::Telemetry => [Competitor::TelemetryOn, Competitor::TelemetryOff],
        }
    }
}

/// The case's name, such as `throughput/quorum/1KB/window-192/x4`.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let question = match self.question {
            Question::Throughput => "throughput",
            Question::Latency => "latency",
            Question::Telemetry => "telemetry",
        };
        write!(f, "{question}/{}/", self.queue.name())?;
        match self.payload_bytes {
            bytes if bytes % 1024 == 0 => write!(f, "{}KB/", bytes / 1024)?,
            bytes => write!(f, "{bytes}B/")?,
        }
        match self.rate {
            Some(rate) => write!(f, "rate-{rate}"),
            None => write!(f, "window-{}/x{}", self.confirm_window, self.connections),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own() {
        let cases = Case::all();
        let names: BTreeSet<String> = cases.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), cases.len());
        assert!(names.contains("throughput/quorum/1KB/window-192/x4"));
        assert!(names.contains("latency/classic/1KB/rate-10000"));
        assert!(names.contains("throughput/classic/12B/window-1/x1"));
    }

    #[test]
    fn a_pattern_is_a_part_of_the_name_with_gaps() {
        let chosen = |pattern: &str| {
            let cases = Case::all();
            cases.iter().filter(|case| case.matches(pattern)).count()
        };
        assert_eq!(chosen("classic/12B/window-192/x1"), 1);
        assert_eq!(chosen("quorum*window-192"), 6);
        assert_eq!(chosen("latency"), 4);
        assert_eq!(chosen("window-192*quorum"), 0);
        assert_eq!(chosen(""), Case::all().len());
    }
}
