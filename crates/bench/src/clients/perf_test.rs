//! PerfTest at work: it ends its own intervals, and the line that it prints then is the mark.

use std::{path::Path, time::Duration};

use tokio::time::{Instant, sleep};

use super::Equipment;
use crate::{
    BenchError,
    case::Case,
    latency::Latencies,
    management::VHOST,
    perf_test::{PerfTest, intervals},
    process::Process,
};

/// How much longer than its interval PerfTest may take to print its line: Java starts within seconds.
const GRACE: Duration = Duration::from_secs(30);

/// How often its output is looked at; the interval's ends are that exact.
const LOOK: Duration = Duration::from_millis(20);

/// A running PerfTest.
#[derive(Debug)]
pub struct PerfTestClients {
    process: Process,
    interval: Duration,
}

impl PerfTestClients {
    pub(super) fn start(
        program: &PerfTest,
        equipment: &Equipment,
        case: &Case,
        folder: &Path,
    ) -> Result<Self, BenchError> {
        let management = &equipment.broker.management;
        let uri = format!(
            "amqp://{}:{}@{}:{}/{VHOST}",
            management.username(),
            management.password(),
            management.host(),
            equipment.broker.overview.amqp_port
        );
        let command = program.command(case, &uri, equipment.seconds);
        Ok(Self {
            process: Process::start("perf-test".to_owned(), command, folder)?,
            interval: Duration::from_secs(equipment.seconds.into()),
        })
    }

    pub(super) async fn warm_up(&mut self) -> Result<(), BenchError> {
        self.interval(0).await?;
        Ok(())
    }

    pub(super) async fn work(&mut self) -> Result<Latencies, BenchError> {
        self.interval(1).await
    }

    pub(super) fn pids(&self) -> Vec<i32> {
        vec![self.process.pid()]
    }

    /// Waits for the end of an interval.
    async fn interval(&mut self, index: usize) -> Result<Latencies, BenchError> {
        let waited = self.interval + GRACE;
        let deadline = Instant::now() + waited;
        loop {
            let output = self.process.output();
            if let Some(latencies) = intervals(&output).get(index) {
                return Ok(*latencies);
            }
            self.process.check()?;
            if Instant::now() >= deadline {
                return Err(BenchError::GaveUp {
                    what: "PerfTest to print an interval".to_owned(),
                    waited,
                    last: output.lines().last().unwrap_or("nothing").to_owned(),
                });
            }
            sleep(LOOK).await;
        }
    }
}
