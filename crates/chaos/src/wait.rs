//! Waiting for a condition, on its level: often looked at, generously bounded, and telling what was seen last.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use crate::ChaosError;

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Looks until `look` gives a value; what it gives as an error is what was seen instead.
///
/// # Errors
/// When nothing came within `bound`, with what was seen last.
pub async fn until<T, E: Display>(
    what: &str,
    bound: Duration,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, ChaosError> {
    let started = Instant::now();
    loop {
        match look().await {
            Ok(value) => return Ok(value),
            Err(seen) if started.elapsed() >= bound => {
                return Err(ChaosError::GaveUp {
                    what: what.to_owned(),
                    waited: started.elapsed(),
                    seen: seen.to_string(),
                });
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}
