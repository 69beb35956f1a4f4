//! The producer: publishes messages at a steady rate and gives none up before the broker has confirmed it.

mod arguments;
mod tracer;

use std::{net::SocketAddr, process::ExitCode};

use messaging::{
    metrics::PublisherMetrics,
    publisher::{Publisher, PublisherSettings},
    stop::stop,
};
use service::{Admin, Failure, Problems};
use telemetry::TelemetryGuard;
use tracing::info;

use crate::arguments::Arguments;

const SERVICE: &str = "producer";

fn main() -> ExitCode {
    service::exit(start())
}

fn start() -> Result<(), Failure> {
    let arguments: Arguments = service::parse()?;
    let mut problems = Problems::default();
    let publisher = arguments.publisher(&mut problems);
    let admin = arguments.service.admin_address(&mut problems);
    let telemetry = arguments.service.telemetry(SERVICE, &mut problems);
    problems.check()?;
    let telemetry = telemetry::init(telemetry)?;
    service::run(run(publisher, admin, &telemetry))?
}

async fn run(
    settings: PublisherSettings,
    admin: SocketAddr,
    telemetry: &TelemetryGuard,
) -> Result<(), Failure> {
    let metrics = PublisherMetrics::new(&telemetry.meter("messaging"));
    let (publisher, handle) = Publisher::new(settings, metrics)?;
    let (stop_handle, stop) = stop();
    service::stop_on_signal(stop_handle)?;
    for producer_id in handle.producer_ids() {
        info!(%producer_id, "producer starts");
    }
    let routes = tracer::routes(handle.clone());
    let admin = Admin::start(admin, telemetry, handle.connections(), routes).await?;
    let drained = publisher.run(stop).await?;
    admin.stop().await?;
    match drained.unconfirmed {
        0 => {
            info!("producer stopped, every message confirmed");
            Ok(())
        }
        left => Err(Failure::Unfinished {
            left,
            what: "messages unconfirmed",
        }),
    }
}
