//! Waiting for a condition, on its level: often looked at, generously bounded, and telling what was seen last.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until `look` gives a value.
///
/// # Panics
///
/// After [`PATIENCE`], with `what` was waited for and the last thing seen.
pub async fn until<T, E: Display>(what: &str, mut look: impl AsyncFnMut() -> Result<T, E>) -> T {
    let started = Instant::now();
    loop {
        match look().await {
            Ok(value) => return value,
            Err(seen) if started.elapsed() > PATIENCE => {
                panic!(
                    "waited {:?} for {what}; seen last: {seen}",
                    started.elapsed()
                )
            }
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// Waits as [`until`] does, without a runtime.
///
/// # Panics
///
/// As [`until`] does.
pub fn until_blocking<T, E: Display>(what: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let started = Instant::now();
    loop {
        match look() {
            Ok(value) => return value,
            Err(seen) if started.elapsed() > PATIENCE => {
                panic!(
                    "waited {:?} for {what}; seen last: {seen}",
                    started.elapsed()
                )
            }
            Err(_) => std::thread::park_timeout(LOOK_EVERY),
        }
    }
}
