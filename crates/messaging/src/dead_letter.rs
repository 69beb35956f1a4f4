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

#[cfg(test)]
mod tests {
    use lapin::types::FieldArray;

    use super::*;

    fn long(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    fn table(fields: impl IntoIterator<Item = (&'static str, AMQPValue)>) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in fields {
            table.insert(name.into(), value);
        }
        table
    }

    fn death(reason: &str, queue: &str, count: AMQPValue) -> AMQPValue {
        let fields = [
            ("reason", long(reason)),
            ("queue", long(queue)),
            ("count", count),
        ];
        AMQPValue::FieldTable(table(fields))
    }

    /// The headers of a message that was rejected in the work queue, with these entries of `x-death`.
    fn rejected(deaths: Vec<AMQPValue>) -> FieldTable {
        table([
            ("x-first-death-reason", long("rejected")),
            ("x-first-death-queue", long("lab.work")),
            (HEADER, long("poison")),
            ("x-death", AMQPValue::FieldArray(FieldArray::from(deaths))),
        ])
    }

    fn read_with(headers: FieldTable) -> DeadLetter {
        read(&BasicProperties::default().with_headers(headers), b"")
    }

    /// One value of each type that a header can have, and those that lie at the borders.
    fn of_every_type() -> Vec<AMQPValue> {
        vec![
            AMQPValue::Boolean(true),
            AMQPValue::ShortShortInt(i8::MIN),
            AMQPValue::ShortShortUInt(u8::MAX),
            AMQPValue::ShortInt(i16::MIN),
            AMQPValue::ShortUInt(u16::MAX),
            AMQPValue::LongInt(i32::MIN),
            AMQPValue::LongUInt(u32::MAX),
            AMQPValue::LongLongInt(i64::MIN),
            AMQPValue::LongLongInt(i64::MAX),
            AMQPValue::Float(1.0),
            AMQPValue::Double(f64::NAN),
            AMQPValue::Timestamp(u64::MAX),
            AMQPValue::ShortString("rejected".into()),
            AMQPValue::LongString(vec![0xff, 0xfe].into()),
            AMQPValue::ByteArray(vec![0].into()),
            AMQPValue::FieldTable(FieldTable::default()),
            AMQPValue::FieldArray(FieldArray::default()),
            AMQPValue::Void,
        ]
    }

    #[test]
    fn what_the_broker_writes_is_read() {
        let (id, producer) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let envelope = Envelope {
            id,
            producer,
            sequence: 7,
            published_at: jiff::Timestamp::UNIX_EPOCH,
            payload: "load".into(),
        };
        let deaths = vec![
            death("expired", "lab.work", AMQPValue::LongLongInt(9)),
            death("rejected", "lab.other", AMQPValue::LongLongInt(8)),
            death("rejected", "lab.work", AMQPValue::LongLongInt(2)),
        ];
        let properties = BasicProperties::default()
            .with_message_id(id.to_string().into())
            .with_headers(rejected(deaths));
        let expected = DeadLetter {
            message_id: Some(id),
            origin: Some((producer, 7)),
            reason: "rejected".to_owned(),
            queue: "lab.work".to_owned(),
            deaths: 2,
            tracer: Some(TracerKind::Poison),
        };
        assert_eq!(read(&properties, &envelope.encode()), expected);
    }

    #[test]
    fn a_message_that_says_nothing_is_a_dead_letter_all_the_same() {
        let expected = DeadLetter {
            message_id: None,
            origin: None,
            reason: String::new(),
            queue: String::new(),
            deaths: 0,
            tracer: None,
        };
        let properties = BasicProperties::default().with_message_id("no id".into());
        assert_eq!(read(&properties, b"no envelope"), expected);
        assert_eq!(read_with(FieldTable::default()), expected);
    }

    #[test]
    fn a_count_of_any_width_is_read_and_nothing_else_is_one() {
        let counts: Vec<u64> = of_every_type()
            .into_iter()
            .map(|count| read_with(rejected(vec![death("rejected", "lab.work", count)])).deaths)
            .filter(|&count| count > 0)
            .collect();
        let unsigned = [u8::MAX.into(), u16::MAX.into(), u32::MAX.into()];
        assert_eq!(counts, [&unsigned[..], &[i64::MAX as u64]].concat());
    }

    #[test]
    fn a_header_of_a_wrong_type_is_a_header_that_is_not_there() {
        for value in of_every_type() {
            for name in [
                "x-first-death-reason",
                "x-first-death-queue",
                HEADER,
                "x-death",
            ] {
                let mut headers = rejected(vec![
                    value.clone(),
                    death("rejected", "lab.work", 1_u32.into()),
                ]);
                headers.insert(name.into(), value.clone());
                let letter = read_with(headers);
                let is_text = matches!(value, AMQPValue::ShortString(_));
                let reason = if name == "x-first-death-reason" && !is_text {
                    ""
                } else {
                    "rejected"
                };
                assert_eq!(letter.reason, reason, "{name} is {value:?}");
                let deaths = match name {
                    HEADER => 1,
                    "x-first-death-reason" if is_text => 1,
                    _ => 0,
                };
                assert_eq!(letter.deaths, deaths, "{name} is {value:?}");
                let tracer = (name != HEADER).then_some(TracerKind::Poison);
                assert_eq!(letter.tracer, tracer, "{name} is {value:?}");
            }
        }
    }
}
