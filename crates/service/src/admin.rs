//! The admin server of a service: telemetry's routes and the service's own, ready when the broker does what we ask.

use std::net::SocketAddr;

use axum::Router;
use messaging::broker::Status;
use telemetry::{AdminServer, Readiness, TelemetryError, TelemetryGuard};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};
use tracing::info;

use crate::Failure;

/// A running admin server.
#[derive(Debug)]
pub struct Admin {
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), TelemetryError>>,
}

impl Admin {
    /// Takes the address and answers from here on.
    ///
    /// # Errors
    ///
    /// The address is taken.
    pub async fn start(
        address: SocketAddr,
        telemetry: &TelemetryGuard,
        status: watch::Receiver<Status>,
        routes: Router,
    ) -> Result<Self, Failure> {
        let server = AdminServer::bind(address).await?;
        info!(address = %server.address(), "the admin server listens");
        let routes = telemetry.admin_routes(readiness(status)).merge(routes);
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(server.serve(routes, async move {
            // Asked to stop, or nobody is left to ask.
            let _ = stopped.await;
        }));
        Ok(Self { stop, server })
    }

    /// Answers what is being asked and ends.
    ///
    /// # Errors
    ///
    /// The server had failed before.
    pub async fn stop(self) -> Result<(), Failure> {
        // A server that has ended hears nothing.
        let _ = self.stop.send(());
        match self.server.await {
            Ok(served) => Ok(served?),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}

/// Readiness follows the broker; the process's liveness does not.
fn readiness(mut status: watch::Receiver<Status>) -> watch::Receiver<Readiness> {
    let (sender, receiver) = watch::channel(of(&status.borrow_and_update()));
    tokio::spawn(async move {
        while status.changed().await.is_ok() {
            sender.send_replace(of(&status.borrow_and_update()));
        }
    });
    receiver
}

fn of(status: &Status) -> Readiness {
    match status.obstacle() {
        None => Readiness::Ready,
        Some((reason, since)) => Readiness::NotReady { reason, since },
    }
}
