//! The processes of one competitor, from their start to their end.

mod lab;
mod perf_test;

use std::path::Path;

use crate::{
    BenchError,
    broker::Broker,
    case::{Case, Competitor},
    latency::Latencies,
    perf_test::PerfTest,
    programs::Programs,
};

use self::{lab::LabClients, perf_test::PerfTestClients};

/// What every run needs.
#[derive(Debug)]
pub struct Equipment {
    /// The broker.
    pub broker: Broker,
    /// The producer and the consumer.
    pub programs: Programs,
    /// PerfTest, where it is.
    pub perf_test: Option<PerfTest>,
    /// A client for pages of the broker and the services.
    pub http: reqwest::Client,
    /// How long a run warms up, and then is measured.
    pub seconds: u32,
}

impl Equipment {
    /// Whether a competitor can take part.
    pub fn has(&self, competitor: Competitor) -> bool {
        competitor != Competitor::PerfTest || self.perf_test.is_some()
    }
}

/// A competitor at work.
#[derive(Debug)]
pub enum Clients {
    /// A producer and a consumer.
    Lab(Box<LabClients>),
    /// PerfTest, one process.
    PerfTest(Box<PerfTestClients>),
}

impl Clients {
    /// Starts the processes; `None` when there is no PerfTest to start. What they write goes into `folder`.
    ///
    /// # Errors
    ///
    /// One does not start or does not become ready.
    pub async fn start(
        equipment: &Equipment,
        case: &Case,
        competitor: Competitor,
        folder: &Path,
    ) -> Result<Option<Self>, BenchError> {
        Ok(match competitor {
            Competitor::PerfTest => match &equipment.perf_test {
                Some(program) => {
                    let clients = PerfTestClients::start(program, equipment, case, folder)?;
                    Some(Self::PerfTest(Box::new(clients)))
                }
                None => None,
            },
            Competitor::Lab | Competitor::TelemetryOn | Competitor::TelemetryOff => {
                let clients = LabClients::start(equipment, case, competitor, folder).await?;
                Some(Self::Lab(Box::new(clients)))
            }
        })
    }

    /// Returns when the processes have worked for as long as they are to warm up.
    ///
    /// # Errors
    ///
    /// One has ended.
    pub async fn warm_up(&mut self) -> Result<(), BenchError> {
        match self {
            Self::Lab(clients) => clients.warm_up().await,
            Self::PerfTest(clients) => clients.warm_up().await,
        }
    }

    /// Lets the processes work for the measured interval; the latencies in it.
    ///
    /// # Errors
    ///
    /// One has ended.
    pub async fn work(&mut self) -> Result<Latencies, BenchError> {
        match self {
            Self::Lab(clients) => clients.work().await,
            Self::PerfTest(clients) => clients.work().await,
        }
    }

    /// The processes' ids.
    pub fn pids(&self) -> Vec<i32> {
        match self {
            Self::Lab(clients) => clients.pids(),
            Self::PerfTest(clients) => clients.pids(),
        }
    }
}
