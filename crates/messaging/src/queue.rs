//! A queue as the broker describes it to whoever asks, without a message being touched.
//!
//! Needs an account that may read the queue: the operator's.

use lapin::{Channel, Queue, options::QueueDeclareOptions, types::FieldTable};

use crate::broker::{BrokerError, BrokerSettings, TopologyObject, Wire};

/// How many consumers take messages from a queue.
///
/// # Errors
///
/// There is no connection, the account may not read the queue, or the queue is missing.
pub async fn consumers(broker: &BrokerSettings, queue: &'static str) -> Result<u32, BrokerError> {
    let (wire, _channel, declared) = open(broker, queue).await?;
    wire.close().await;
    Ok(declared.consumer_count())
}

/// Connects and looks for the queue (`queue.declare`, passive).
pub(crate) async fn open(
    broker: &BrokerSettings,
    queue: &'static str,
) -> Result<(Wire, Channel, Queue), BrokerError> {
    let wire = Wire::connect(broker).await?;
    let channel = wire
        .channel()
        .await
        .map_err(|error| BrokerError::from_session(error, broker))?;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await
        .map_err(|error| BrokerError::from_lookup(error, TopologyObject::Queue(queue), broker))?;
    Ok((wire, channel, declared))
}
