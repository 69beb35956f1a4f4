//! A local HTTP server that keeps what it is sent, in place of a collector or of Pyroscope.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::Uri;

/// Longer than anything that works takes.
const BOUND: Duration = Duration::from_secs(30);

pub struct Sink {
    pub address: SocketAddr,
    requests: Receiver<(String, Bytes)>,
}

impl Sink {
    /// Listens on a free port of the current runtime, which needs a second worker for a test that blocks.
    pub async fn start() -> Self {
        let (sender, requests) = mpsc::channel();
        let keep =
            async |State(sender): State<mpsc::Sender<(String, Bytes)>>, uri: Uri, body: Bytes| {
                // The test may be over.
                let _ = sender.send((uri.path().to_owned(), body));
            };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(keep).with_state(sender);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, requests }
    }

    /// The path and the body of the next request.
    pub fn next(&self) -> (String, Bytes) {
        self.requests
            .recv_timeout(BOUND)
            .unwrap_or_else(|_| panic!("nothing was sent to {} within {BOUND:?}", self.address))
    }
}
