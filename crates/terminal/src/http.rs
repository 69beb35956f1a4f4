//! HTTP to the lab's own components on loopback.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::Client;

/// How long a component may take to answer a simple question.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A client that asks the lab and never a proxy.
pub fn client() -> anyhow::Result<Client> {
    Client::builder()
        .no_proxy()
        .timeout(TIMEOUT)
        .build()
        .context("cannot make an HTTP client")
}
