//! The other end of telemetry while its cost is measured: takes spans and profiles, and scrapes as Prometheus would.

use std::time::Duration;

use axum::{Router, body::Bytes, http::StatusCode};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

use crate::BenchError;

/// How often Prometheus scrapes the workload in the lab.
const SCRAPE_INTERVAL: Duration = Duration::from_secs(5);

/// A listening sink. Dropping it ends it.
#[derive(Debug)]
pub struct Sink {
    url: String,
    server: JoinHandle<()>,
}

impl Sink {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    ///
    /// There is none.
    pub async fn start() -> Result<Self, BenchError> {
        let start = |source| BenchError::Start {
            program: "the telemetry sink".to_owned(),
            source,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(start)?;
        let address = listener.local_addr().map_err(start)?;
        // Both protocols are content with an empty success once the body was read.
        let routes = Router::new().fallback(|_body: Bytes| async { StatusCode::OK });
        let server = tokio::spawn(async move {
            // A server on a bound listener ends with the task alone.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self {
            url: format!("http://{address}"),
            server,
        })
    }

    /// The base URL for spans and profiles.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Scrapes pages until it is dropped.
    pub async fn scrape(http: reqwest::Client, urls: Vec<String>) {
        loop {
            for url in &urls {
                // A service that does not answer is found by the measurement itself.
                if let Ok(response) = http.get(url).send().await {
                    let _ = response.bytes().await;
                }
            }
            sleep(SCRAPE_INTERVAL).await;
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.server.abort();
    }
}
