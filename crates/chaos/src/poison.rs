//! A poison message: rejected at every delivery, until the broker gives it up.

use std::time::Duration;

use messaging::tracer::TracerKind;

use crate::{ChaosError, site::Site, wait};

/// How long it may take to be given up: the longest pause between two attempts to connect, and five deliveries.
const FELT: Duration = Duration::from_secs(60);

/// Sends one and waits until it is a dead letter.
///
/// # Errors
/// When it is not confirmed, or does not become a dead letter.
pub async fn send(site: &impl Site) -> Result<String, ChaosError> {
    let receipt = wait::until("a confirmed poison message", FELT, async || {
        site.publish(TracerKind::Poison).await
    })
    .await?;
    let id = receipt.message_id;
    wait::until("the poison among the dead letters", FELT, async || {
        let letters = site.dead_letters().await;
        let letters = letters.map_err(|error| error.to_string())?;
        if letters.iter().any(|letter| letter.message_id == Some(id)) {
            return Ok(());
        }
        Err(format!("{} others", letters.len()))
    })
    .await?;
    Ok(format!("message {id} was dead-lettered"))
}
