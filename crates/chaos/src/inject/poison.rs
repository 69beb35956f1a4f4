//! A poison message: rejected at every delivery, until the broker gives it up.

use messaging::tracer::TracerKind;

use super::FELT;
use crate::{ChaosError, site::Site, wait};

/// Sends one and waits until it is a dead letter.
pub(super) async fn send(site: &Site) -> Result<String, ChaosError> {
    let receipt = wait::until("a confirmed poison message", FELT, async || {
        site.producer.publish(TracerKind::Poison).await
    })
    .await?;
    let id = receipt.message_id;
    wait::until("the poison among the dead letters", FELT, async || {
        let letters = site.broker.dead_letters().await;
        let letters = letters.map_err(|error| error.to_string())?;
        if letters.iter().any(|letter| letter.message_id == Some(id)) {
            return Ok(());
        }
        Err(format!("{} others", letters.len()))
    })
    .await?;
    Ok(format!("message {id} was dead-lettered"))
}
