//! The consumer: handles messages, acknowledges them once they are handled, and receives the lab's alerts.

mod alerts;
mod arguments;
mod tracers;

use std::{net::SocketAddr, process::ExitCode};

use messaging::{
    consumer::{Consumer, ConsumerSettings},
    metrics::ConsumerMetrics,
    stop::stop,
};
use service::{Admin, Failure, Problems};
use telemetry::TelemetryGuard;
use tracing::info;

use crate::{arguments::Arguments, tracers::Tracers};

const SERVICE: &str = "consumer";

fn main() -> ExitCode {
    service::exit(start())
}

fn start() -> Result<(), Failure> {
    let arguments: Arguments = service::parse()?;
    let mut problems = Problems::default();
    let consumer = arguments.consumer(&mut problems);
    let admin = arguments.service.admin_address(&mut problems);
    let telemetry = arguments.service.telemetry(SERVICE, &mut problems);
    problems.check()?;
    let telemetry = telemetry::init(telemetry)?;
    service::run(run(consumer, admin, &telemetry))?
}

async fn run(
    settings: ConsumerSettings,
    admin: SocketAddr,
    telemetry: &TelemetryGuard,
) -> Result<(), Failure> {
    let metrics = ConsumerMetrics::new(&telemetry.meter("messaging"));
    let tracers = Tracers::default();
    let consumer = Consumer::new(settings, tracers.clone(), metrics)?;
    let (stop_handle, stop) = stop();
    service::stop_on_signal(stop_handle)?;
    let routes = tracers::routes(tracers).merge(alerts::routes());
    let admin = Admin::start(admin, telemetry, &consumer.connections(), routes).await?;
    let drained = consumer.run(stop).await?;
    admin.stop().await?;
    match drained.unfinished {
        0 => {
            info!("consumer stopped, nothing left in hand");
            Ok(())
        }
        left => Err(Failure::Unfinished {
            left,
            what: "deliveries unfinished",
        }),
    }
}
