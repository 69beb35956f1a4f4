//! The steady state: a message published from here on is confirmed and handled, and all of the lab is there.

use std::time::{Duration, Instant};

use messaging::tracer::TracerKind;

use crate::{ChaosError, site::Site, wait};

/// Waits for the steady state, which nobody helps to come; says how long it took.
pub(crate) async fn reached(site: &impl Site) -> Result<Duration, ChaosError> {
    let started = Instant::now();
    let left = || site.recovery().saturating_sub(started.elapsed());
    let receipt = wait::until("a confirm", left(), async || {
        site.publish(TracerKind::Normal).await
    })
    .await?;
    wait::until("its acknowledgement", left(), async || {
        let number = receipt.sequence;
        match site
            .journals()
            .has_acknowledged(receipt.producer_id, number)
        {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!(
                "message {number} of {} was confirmed and is not handled; the consumer says: {}",
                receipt.producer_id,
                site.consumer_says().await
            )),
            Err(error) => Err(error.to_string()),
        }
    })
    .await?;
    wait::until("all of the lab", left(), async || site.is_whole().await).await?;
    Ok(started.elapsed())
}
