//! The blackbox exporter's own interface: probe this target, as Prometheus asks it to.
//!
//! Source: prometheus/blackbox_exporter, `README.md`.

use super::{ClientError, Endpoint, exposition};

/// How Prometheus tells the exporter to give up; the exporter does so half a second earlier.
const TIMEOUT_HEADER: &str = "X-Prometheus-Scrape-Timeout-Seconds";
/// Less than our own bound for a request, so that a service that hangs is not taken for an exporter that hangs.
const TIMEOUT_SECONDS: &str = "2.5";

/// The blackbox exporter.
#[derive(Clone, Debug)]
pub(crate) struct Blackbox(pub(crate) Endpoint);

impl Blackbox {
    /// Whether the probe that this query asks for (`module=…&target=…`) succeeds.
    pub(crate) async fn probe(&self, query: &str) -> Result<bool, ClientError> {
        let answer = self
            .0
            .get(&format!("/probe?{query}"))
            .with(|request| request.header(TIMEOUT_HEADER, TIMEOUT_SECONDS))
            .success()
            .await?;
        let success = exposition::value(&answer.text(), "probe_success")
            .ok_or_else(|| answer.unexpected("no probe_success"))?;
        Ok(success == 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::canned::success;

    #[tokio::test]
    async fn a_probe_succeeds_fails_or_is_none() {
        let probe = async |body: &str| Blackbox(success(body)).probe("module=m&target=t").await;
        assert!(
            probe("probe_duration_seconds 0.01\nprobe_success 1\n")
                .await
                .unwrap()
        );
        assert!(!probe("probe_success 0\n").await.unwrap());
        assert!(probe("up 1\n").await.is_err());
    }
}
