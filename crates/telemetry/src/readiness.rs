//! Whether the service can do its work, as its admin server tells it.

use std::time::Instant;

/// The state behind `/readyz`, sent by the service through a `tokio::sync::watch` channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// The service does its work.
    Ready,
    /// The service cannot do its work.
    NotReady {
        /// Why, for a person: the broker's error, or what is being waited for.
        reason: String,
        /// When it began; a changed reason of the same outage keeps it.
        since: Instant,
    },
}

impl Readiness {
    /// Not ready from this moment on.
    pub fn not_ready(reason: impl Into<String>) -> Self {
        Self::NotReady {
            reason: reason.into(),
            since: Instant::now(),
        }
    }
}
