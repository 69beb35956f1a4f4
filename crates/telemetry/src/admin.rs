//! The admin server: a socket, the routes handed in, and an end that does not take for ever.

mod routes;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tracing::warn;

use crate::TelemetryError;

pub use routes::routes;

/// How long requests under way may take once the server is told to stop.
pub const DRAIN_BOUND: Duration = Duration::from_secs(2);

/// A server that has its address and does not answer yet.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl AdminServer {
    /// Takes the address; port 0 takes any free port.
    ///
    /// # Errors
    ///
    /// [`TelemetryError::Bind`] names the address and has a hint when it is taken.
    pub async fn bind(address: SocketAddr) -> Result<Self, TelemetryError> {
        let bind_error = |source| TelemetryError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        Ok(Self { listener, address })
    }

    /// The address taken, with the port that it really is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is done; then takes no more connections and ends when the requests under way have, or
    /// after [`DRAIN_BOUND`].
    ///
    /// # Errors
    ///
    /// [`TelemetryError::Serve`] when the socket fails.
    pub async fn serve(
        self,
        routes: Router,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), TelemetryError> {
        let Self { listener, address } = self;
        let (drain, draining) = oneshot::channel();
        let server = axum::serve(listener, routes).with_graceful_shutdown(async move {
            shutdown.await;
            // The other side waits for as long as the server runs.
            let _ = drain.send(());
        });
        let cut = async {
            let _ = draining.await;
            tokio::time::sleep(DRAIN_BOUND).await;
        };
        tokio::select! {
            served = server => served.map_err(|source| TelemetryError::Serve { address, source }),
            () = cut => {
                warn!(%address, "admin requests under way were cut off");
                Ok(())
            }
        }
    }
}
