//! The steady state: a message published from here on is confirmed and handled.

use std::time::{Duration, Instant};

use messaging::tracer::TracerKind;

use crate::{ChaosError, site::Site, wait};

/// How long the way back may take. The longest leads over a broker's start, some ten seconds on a busy machine, after a
/// supervisor's pause of up to ten.
const BOUND: Duration = Duration::from_secs(60);

/// Waits for the steady state, which nobody helps to come; says how long it took.
pub(crate) async fn reached(site: &Site) -> Result<Duration, ChaosError> {
    let started = Instant::now();
    let receipt = wait::until("a confirm", BOUND, async || {
        site.producer.publish(TracerKind::Normal).await
    })
    .await?;
    let left = BOUND.saturating_sub(started.elapsed());
    wait::until("its acknowledgement", left, async || {
        let number = receipt.sequence;
        match site.journals.has_acknowledged(receipt.producer_id, number) {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!(
                "message {number} of {} was confirmed and is not handled; the consumer says: {}",
                receipt.producer_id,
                match site.consumer.obstacle().await {
                    Ok(None) => "ready".to_owned(),
                    Ok(Some(reason)) | Err(reason) => reason,
                }
            )),
            Err(error) => Err(error.to_string()),
        }
    })
    .await?;
    Ok(started.elapsed())
}
