//! The admin server of a service: telemetry's routes and the service's own, ready when the broker does what we ask on every connection.

use std::{net::SocketAddr, sync::Arc};

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
        connections: &[watch::Receiver<Status>],
        routes: Router,
    ) -> Result<Self, Failure> {
        let server = AdminServer::bind(address).await?;
        info!(address = %server.address(), "the admin server listens");
        let routes = telemetry.admin_routes(readiness(connections)).merge(routes);
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
fn readiness(connections: &[watch::Receiver<Status>]) -> watch::Receiver<Readiness> {
    let connections: Arc<[_]> = connections.into();
    let (sender, receiver) = watch::channel(of(&connections));
    for mut connection in connections.iter().cloned() {
        let (sender, connections) = (sender.clone(), Arc::clone(&connections));
        tokio::spawn(async move {
            while connection.changed().await.is_ok() {
                // Looked at under the channel's lock, so that the last word is the newest.
                sender.send_modify(|readiness| *readiness = of(&connections));
            }
        });
    }
    receiver
}

fn of(connections: &[watch::Receiver<Status>]) -> Readiness {
    let obstacle = connections
        .iter()
        .find_map(|status| status.borrow().obstacle());
    match obstacle {
        None => Readiness::Ready,
        Some((reason, since)) => Readiness::NotReady { reason, since },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_service_is_ready_while_all_its_connections_work() {
        let (_works, works) = watch::channel(Status::Connected);
        let (other, seen) = watch::channel(Status::Connected);
        let mut readiness = readiness(&[works, seen]);
        assert_eq!(*readiness.borrow_and_update(), Readiness::Ready);
        let since = Instant::now();
        let lost = Status::Disconnected {
            since,
            attempts: 0,
            cause: "cut".to_owned(),
        };
        other.send_replace(lost);
        readiness.changed().await.unwrap();
        let reason = "cut".to_owned();
        assert_eq!(
            *readiness.borrow_and_update(),
            Readiness::NotReady { reason, since }
        );
        other.send_replace(Status::Connected);
        readiness.changed().await.unwrap();
        assert_eq!(*readiness.borrow(), Readiness::Ready);
    }
}
