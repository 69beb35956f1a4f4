//! The dead-letter queue, for verification and for people: what lies there and why.
//!
//! Needs an account that may read [`DEAD_LETTER_QUEUE`](crate::topology::DEAD_LETTER_QUEUE): the operator's. Messages are
//! fetched one by one, looked at, and put back where they were, in their order.

use std::time::{Duration, Instant};

use lapin::{
    BasicProperties, Channel,
    options::{BasicAckOptions, BasicGetOptions, BasicNackOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::time::sleep;
use uuid::Uuid;

use crate::{
    broker::{BrokerError, BrokerSettings},
    envelope::Envelope,
    queue::open,
    topology::DEAD_LETTER_QUEUE,
    tracer::{HEADER, TracerKind},
};

/// Between two looks at the queue: dead-lettering ends a moment after the last rejection.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A message in the dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The property `message_id`, where it is a UUID.
    pub message_id: Option<Uuid>,
    /// Producer and sequence number, where the body is an [`Envelope`].
    pub origin: Option<(Uuid, u64)>,
    /// Why it was given up first (`x-first-death-reason`): `delivery_limit`, `rejected`, `expired`, `maxlen`.
    pub reason: String,
    /// The queue that gave it up first (`x-first-death-queue`).
    pub queue: String,
    /// How often it was given up by that queue for that reason (`x-death[].count`): more than once when somebody has put
    /// it back to work. The number of its deliveries is not kept: the header `x-delivery-count` of a dead letter counts
    /// those of the dead-letter queue itself.
    pub deaths: u64,
    /// What its producer meant it to be, where it is a tracer message.
    pub tracer: Option<TracerKind>,
}

/// Waits up to `within` for the dead letter with this id and removes it; all others stay as they are.
///
/// # Errors
///
/// There is no connection, the account may not read the queue, or the queue is missing.
pub async fn take(
    broker: &BrokerSettings,
    message_id: Uuid,
    within: Duration,
) -> Result<Option<DeadLetter>, BrokerError> {
    let started = Instant::now();
    let (wire, channel, _) = open(broker, DEAD_LETTER_QUEUE).await?;
    let found = loop {
        let walk = walk(&channel, Some(message_id)).await;
        match walk.map_err(|error| BrokerError::from_session(error, broker))? {
            Walk {
                found: Some(letter),
                ..
            } => break Some(letter),
            Walk { found: None, .. } if started.elapsed() >= within => break None,
            Walk { found: None, .. } => sleep(LOOK_EVERY).await,
        }
    };
    wire.close().await;
    Ok(found)
}

/// Lists the dead letters in their order and leaves all of them.
///
/// # Errors
///
/// There is no connection, the account may not read the queue, or the queue is missing.
pub async fn list(broker: &BrokerSettings) -> Result<Vec<DeadLetter>, BrokerError> {
    let (wire, channel, _) = open(broker, DEAD_LETTER_QUEUE).await?;
    let walk = walk(&channel, None)
        .await
        .map_err(|error| BrokerError::from_session(error, broker))?;
    wire.close().await;
    Ok(walk.passed)
}

struct Walk {
    found: Option<DeadLetter>,
    passed: Vec<DeadLetter>,
}

/// Fetches messages until the wanted one or the end, removes the wanted one and puts all others back.
async fn walk(channel: &Channel, wanted: Option<Uuid>) -> Result<Walk, lapin::Error> {
    let mut walk = Walk {
        found: None,
        passed: Vec::new(),
    };
    let mut last_passed = None;
    while let Some(message) = channel
        .basic_get(DEAD_LETTER_QUEUE.into(), BasicGetOptions::default())
        .await?
    {
        let delivery = message.delivery;
        let letter = read(&delivery.properties, &delivery.data);
        if wanted.is_some() && letter.message_id == wanted {
            channel
                .basic_ack(delivery.delivery_tag, BasicAckOptions::default())
                .await?;
            walk.found = Some(letter);
            break;
        }
        last_passed = Some(delivery.delivery_tag);
        walk.passed.push(letter);
    }
    if let Some(tag) = last_passed {
        let all = BasicNackOptions {
            multiple: true,
            requeue: true,
        };
        channel.basic_nack(tag, all).await?;
    }
    Ok(walk)
}

fn read(properties: &BasicProperties, body: &[u8]) -> DeadLetter {
    let none = FieldTable::default();
    let headers = properties.headers().as_ref().unwrap_or(&none);
    let reason = text(headers, "x-first-death-reason").unwrap_or_default();
    let queue = text(headers, "x-first-death-queue").unwrap_or_default();
    DeadLetter {
        message_id: properties
            .message_id()
            .as_ref()
            .and_then(|id| id.as_str().parse().ok()),
        origin: Envelope::decode(body)
            .ok()
            .map(|envelope| (envelope.producer, envelope.sequence)),
        deaths: deaths(headers, reason, queue),
        tracer: text(headers, HEADER).and_then(|kind| kind.parse().ok()),
        reason: reason.to_owned(),
        queue: queue.to_owned(),
    }
}

/// The count of the entry of `x-death` for this reason and queue; 0 when there is none.
fn deaths(headers: &FieldTable, reason: &str, queue: &str) -> u64 {
    let Some(AMQPValue::FieldArray(entries)) = headers.inner().get("x-death") else {
        return 0;
    };
    entries
        .as_slice()
        .iter()
        .filter_map(|entry| match entry {
            AMQPValue::FieldTable(entry) => Some(entry),
            _ => None,
        })
        .find(|entry| text(entry, "reason") == Some(reason) && text(entry, "queue") == Some(queue))
        .and_then(|entry| number(entry, "count"))
        .unwrap_or(0)
}

fn text<'a>(headers: &'a FieldTable, name: &str) -> Option<&'a str> {
    match headers.inner().get(name)? {
        AMQPValue::LongString(value) => std::str::from_utf8(value.as_bytes()).ok(),
        AMQPValue::ShortString(value) => Some(value.as_str()),
        _ => None,
    }
}

/// A whole number of whatever width the broker chose.
fn number(headers: &FieldTable, name: &str) -> Option<u64> {
    match *headers.inner().get(name)? {
        AMQPValue::ShortShortInt(number) => u64::try_from(number).ok(),
        AMQPValue::ShortShortUInt(number) => Some(number.into()),
        AMQPValue::ShortInt(number) => u64::try_from(number).ok(),
        AMQPValue::ShortUInt(number) => Some(number.into()),
        AMQPValue::LongInt(number) => u64::try_from(number).ok(),
        AMQPValue::LongUInt(number) => Some(number.into()),
        AMQPValue::LongLongInt(number) => u64::try_from(number).ok(),
        _ => None,
    }
}
