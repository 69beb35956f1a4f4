//! The producer and the consumer at work, as their users run them: settings by environment, a journal each, and their own
//! metrics.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use lab::ports::{is_free, next_free};
use messaging::journal::{Ledger, Records, compare};
use reqwest::Client;
use tokio::{
    process::Command,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::Equipment;
use crate::{
    BenchError,
    broker::PORTS,
    case::{ACK_BATCH, Case, Competitor, PREFETCH},
    exposition::{Exposition, Histogram},
    latency::{Latencies, Latency},
    management::{VHOST, text},
    process::Process,
    sink::Sink,
};

/// How long a service may take to become ready.
const READY: Duration = Duration::from_secs(30);

/// How long a service may take to end; it gives itself 20 seconds.
const END: Duration = Duration::from_secs(30);

const INTERVAL: Duration = Duration::from_millis(50);

/// A producer and a consumer, each with the connections of the case.
#[derive(Debug)]
pub struct LabClients {
    producer: Service,
    consumer: Service,
    interval: Duration,
    http: Client,
    _observers: Option<(Sink, JoinSet<()>)>,
}

#[derive(Debug)]
struct Service {
    process: Process,
    admin: String,
    journal: PathBuf,
}

impl LabClients {
    pub(super) async fn start(
        equipment: &Equipment,
        case: &Case,
        competitor: Competitor,
        folder: &Path,
    ) -> Result<Self, BenchError> {
        let sink = match competitor {
            Competitor::TelemetryOn => Some(Sink::start().await?),
            _ => None,
        };
        let launch = Launch {
            equipment,
            case,
            folder,
            sink: sink.as_ref(),
            logs: if competitor == Competitor::TelemetryOff {
                "off"
            } else {
                "info"
            },
        };
        // Consumers first: nobody competes on a queue that has filled before.
        let consumer = launch.service("consumer").await?;
        let producer = launch.service("producer").await?;
        let observers = sink.map(|sink| {
            let pages = [&producer, &consumer].map(|service| service.page("metrics"));
            let mut tasks = JoinSet::new();
            tasks.spawn(Sink::scrape(equipment.http.clone(), pages.into()));
            (sink, tasks)
        });
        Ok(Self {
            producer,
            consumer,
            interval: Duration::from_secs(equipment.seconds.into()),
            http: equipment.http.clone(),
            _observers: observers,
        })
    }

    pub(super) async fn warm_up(&mut self) -> Result<(), BenchError> {
        sleep(self.interval).await;
        self.check()
    }

    pub(super) async fn work(&mut self) -> Result<Latencies, BenchError> {
        let before = self.histograms().await?;
        sleep(self.interval).await;
        self.check()?;
        let after = self.histograms().await?;
        let taken = |after: Histogram, before: &Histogram| {
            let histogram = after.since(before);
            Some(Latency {
                p50_ms: 1000.0 * histogram.quantile(0.5)?,
                p99_ms: 1000.0 * histogram.quantile(0.99)?,
            })
        };
        Ok(Latencies {
            confirm: taken(after.0, &before.0),
            end_to_end: taken(after.1, &before.1),
        })
    }

    pub(super) fn pids(&self) -> Vec<i32> {
        vec![self.producer.process.pid(), self.consumer.process.pid()]
    }

    /// Ends the producer, with every message confirmed.
    ///
    /// # Errors
    ///
    /// It ends badly, or with messages unconfirmed.
    pub async fn stop_producer(&mut self) -> Result<(), BenchError> {
        self.producer.process.stop(END).await
    }

    /// Ends the consumer, and compares the journals.
    ///
    /// # Errors
    ///
    /// It ends badly, or a journal cannot be read.
    pub async fn stop_consumer(&mut self) -> Result<Ledger, BenchError> {
        self.consumer.process.stop(END).await?;
        Ok(compare(
            &Records::read(&self.producer.journal)?,
            &Records::read(&self.consumer.journal)?,
        ))
    }

    fn check(&mut self) -> Result<(), BenchError> {
        self.producer.process.check()?;
        self.consumer.process.check()
    }

    /// Of confirms and of deliveries, up to now.
    async fn histograms(&self) -> Result<(Histogram, Histogram), BenchError> {
        Ok((
            self.histogram(&self.producer, "lab_confirm_latency_seconds")
                .await?,
            self.histogram(&self.consumer, "lab_end_to_end_latency_seconds")
                .await?,
        ))
    }

    async fn histogram(&self, service: &Service, name: &str) -> Result<Histogram, BenchError> {
        let page = text(&self.http, &service.page("metrics"), "a service's metrics").await?;
        Ok(Exposition::parse(&page).histogram(name))
    }
}

impl Service {
    fn page(&self, name: &str) -> String {
        format!("http://{}/{name}", self.admin)
    }

    async fn ready(&mut self, http: &Client) -> Result<(), BenchError> {
        let deadline = Instant::now() + READY;
        loop {
            let answer = text(http, &self.page("readyz"), "a service whether it is ready").await;
            let Err(last) = answer else {
                return Ok(());
            };
            self.process.check()?;
            if Instant::now() >= deadline {
                return Err(BenchError::GaveUp {
                    what: "a service to become ready".to_owned(),
                    waited: READY,
                    last: format!("{last}; it wrote {}", self.process.output()),
                });
            }
            sleep(INTERVAL).await;
        }
    }
}

/// What the services of a run are started with.
struct Launch<'a> {
    equipment: &'a Equipment,
    case: &'a Case,
    folder: &'a Path,
    sink: Option<&'a Sink>,
    logs: &'static str,
}

impl Launch<'_> {
    /// A service that is ready.
    async fn service(&self, program: &str) -> Result<Service, BenchError> {
        let programs = &self.equipment.programs;
        let (case, broker) = (self.case, &self.equipment.broker);
        let mut command = if program == "producer" {
            let mut command = Command::new(&programs.producer);
            command
                .env_clear()
                .env("LAB_RATE", case.rate.unwrap_or(0).to_string())
                .env("LAB_PAYLOAD_BYTES", case.payload_bytes.to_string())
                .env("LAB_CONFIRM_WINDOW", case.confirm_window.to_string());
            command
        } else {
            let mut command = Command::new(&programs.consumer);
            command
                .env_clear()
                .env("LAB_PREFETCH", PREFETCH.to_string())
                .env("LAB_ACK_BATCH", ACK_BATCH.to_string());
            command
        };
        // Below the ephemeral ports, so that no outgoing connection takes it; without logs a service could not say which one it took.
        let port = next_free(program, fastrand::u16(PORTS), is_free)?;
        let admin = format!("127.0.0.1:{port}");
        let journal = self.folder.join(format!("{program}.journal"));
        command
            .env("LAB_BROKER_HOST", broker.management.host())
            .env("LAB_BROKER_PORT", broker.overview.amqp_port.to_string())
            .env("LAB_BROKER_VHOST", VHOST)
            .env("LAB_USERNAME", broker.management.username())
            .env("LAB_PASSWORD", broker.management.password())
            .env("LAB_SERVICE_INSTANCE", program)
            .env("LAB_CONNECTIONS", case.connections.to_string())
            .env("LAB_ADMIN_ADDRESS", &admin)
            .env("LAB_LOG", self.logs)
            .env("LAB_JOURNAL", &journal);
        if let Some(sink) = self.sink {
            command
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url())
                .env("LAB_PYROSCOPE_URL", sink.url());
        }
        let mut service = Service {
            process: Process::start(program.to_owned(), command, self.folder)?,
            admin,
            journal,
        };
        service.ready(&self.equipment.http).await?;
        Ok(service)
    }
}
