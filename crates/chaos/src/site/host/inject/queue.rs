//! The queue deleted and declared again.
//!
//! What is in a queue when its operator deletes it is lost by the operator's hand, and no ledger of the workload's can tell
//! that from a loss of the broker's. So the queue is deleted as a careful operator does it, under the same load but empty:
//! its binding goes first, which makes the broker return every publish instead of confirming it, and the queue goes when
//! all that was confirmed is handled and a whole window of publishes has come back twice without a confirm among them.
//! Publishers and consumer meet all the rest: unroutable messages, a cancelled consumer, a missing queue.

use super::FELT;
use crate::{ChaosError, site::host::HostSite, wait};

/// Twice the producer's window of outstanding confirms, which is 1000 unless it is set.
const TWO_WINDOWS: u64 = 2_000;

/// Takes the queue away and brings it back.
pub(super) async fn delete(site: &HostSite) -> Result<String, ChaosError> {
    site.broker.unbind_queue().await?;
    let drained = drained(site).await;
    if drained.is_ok() {
        site.broker.delete_queue().await?;
        gone(site).await?;
    }
    // Also when it was not deleted: its binding is missing.
    site.broker.restore_topology().await?;
    let returned = drained?;
    Ok(format!(
        "unbound until {returned} publishes came back, deleted empty, declared again"
    ))
}

/// Waits until nothing that was confirmed, or is yet to be confirmed, is in the queue; says how much was returned.
async fn drained(site: &HostSite) -> Result<u64, ChaosError> {
    const RETURNED: &str = "lab_messages_returned_total";
    let mut since: Option<(u64, u64)> = None;
    wait::until("an empty queue", FELT, async || {
        let text = |error: ChaosError| error.to_string();
        let ledger = site.journals.ledger().map_err(text)?;
        let returned = site.producer.admin.counter(RETURNED).await?;
        let (confirmed, first) = *since.get_or_insert((ledger.confirmed, returned));
        // Another confirm begins the count anew, and so does another producer, whose counter is a new one.
        if confirmed != ledger.confirmed || returned < first {
            since = Some((ledger.confirmed, returned));
        }
        let missing = ledger.lost_count();
        if missing == 0 && confirmed == ledger.confirmed && returned >= first + TWO_WINDOWS {
            return Ok(returned - first);
        }
        Err(format!(
            "{missing} confirmed and not handled, {} returned since the last confirm",
            returned.saturating_sub(first)
        ))
    })
    .await
}

/// Waits until the consumer has been told.
async fn gone(site: &HostSite) -> Result<(), ChaosError> {
    wait::until("the consumer to miss its queue", FELT, async || match site
        .consumer
        .admin
        .obstacle()
        .await?
    {
        Some(_) => Ok(()),
        None => Err("the consumer is ready".to_owned()),
    })
    .await
}
