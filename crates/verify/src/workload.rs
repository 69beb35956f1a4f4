//! Diagram 5: messages from the producer to the consumer or among the dead letters, and the alert that leaves the lab.

use blueprint::Component;
use jiff::{SignedDuration, Timestamp};
use messaging::tracer::TracerKind;

use crate::{
    client::{
        admin::{Delivered, Received, Sent},
        alertmanager::Alert,
    },
    context::Context,
    dead_letters,
    finding::{Finding, Probed},
    poll,
    scrape::{Mark, scraped},
    tracers,
};

/// The alert that always fires.
const WATCHDOG: &str = "Watchdog";

/// How old the newest delivery of the Watchdog may be. Alertmanager repeats it every 10 s
/// (`manifests/alertmanager/alertmanager.yml`), and one repetition may meet a receiver that is being restarted.
const DELIVERY_BOUND: SignedDuration = SignedDuration::from_secs(30);

/// A process of the workload is recognised by its start.
pub(crate) const START: Mark = Mark::Value("process_start_time_seconds");

pub(crate) async fn producer_to_rabbitmq(context: &Context<'_>) -> Probed {
    let sent = context.tracers.sent(context, TracerKind::Normal).await?;
    Ok(format!(
        "message {} confirmed after {:.1} ms",
        sent.message_id, sent.confirm_ms
    ))
}

pub(crate) async fn rabbitmq_to_consumer(context: &Context<'_>) -> Probed {
    let sent = context.tracers.sent(context, TracerKind::Normal).await?;
    let received = tracers::received(context, sent.message_id).await?;
    same_message(&sent, &received)
}

/// Whether what the consumer took is what the producer sent, within the same trace.
fn same_message(sent: &Sent, received: &Received) -> Probed {
    let differs = |what: &str, sent: &dyn std::fmt::Display, received: &dyn std::fmt::Display| {
        Err(Finding::at(
            Component::Consumer,
            format!("the producer sent {what} {sent}, the consumer received {received}"),
        ))
    };
    if (sent.message_id, sent.producer_id) != (received.message_id, received.producer_id) {
        let sent = format!("{} of {}", sent.message_id, sent.producer_id);
        let received = format!("{} of {}", received.message_id, received.producer_id);
        return differs("message", &sent, &received);
    }
    if sent.sequence != received.sequence {
        return differs("number", &sent.sequence, &received.sequence);
    }
    if sent.trace_id != received.trace_id {
        return differs("trace", &sent.trace_id, &received.trace_id);
    }
    if sent.span_id != received.parent_span_id {
        return differs("span", &sent.span_id, &received.parent_span_id);
    }
    if received.outcome != "handled" {
        return Err(Finding::at(
            Component::Consumer,
            format!(
                "the consumer has {} message {}",
                received.outcome, sent.message_id
            ),
        ));
    }
    Ok(format!(
        "message {} in trace {} after {:.1} ms",
        sent.message_id, sent.trace_id, received.latency_ms
    ))
}

pub(crate) async fn rabbitmq_to_dead_letter(context: &Context<'_>) -> Probed {
    let sent = context.tracers.sent(context, TracerKind::Poison).await?;
    let evidence = dead_letters::holds(context, sent.message_id).await?;
    let received = tracers::received(context, sent.message_id).await?;
    Ok(format!(
        "{evidence} after {} deliveries",
        received.deliveries
    ))
}

pub(crate) async fn rabbitmq_to_prometheus(context: &Context<'_>) -> Probed {
    let mark = Mark::Label {
        metric: "rabbitmq_identity_info",
        label: "rabbitmq_cluster_permanent_id",
    };
    scraped(context, Component::Rabbitmq, "prometheus", mark).await
}

pub(crate) async fn producer_to_prometheus(context: &Context<'_>) -> Probed {
    scraped(context, Component::Producer, "admin", START).await
}

pub(crate) async fn consumer_to_prometheus(context: &Context<'_>) -> Probed {
    scraped(context, Component::Consumer, "admin", START).await
}

pub(crate) async fn prometheus_to_alertmanager(context: &Context<'_>) -> Probed {
    let prometheus = context.prometheus().await?;
    let alertmanager = context.alertmanager().await?;
    let consumer = context.consumer().await?;
    poll::until("the Watchdog to go round", context.deadline, async || {
        let named = prometheus.alertmanagers().await?;
        if named.is_empty() {
            return Err(Finding::new(
                "Prometheus knows no Alertmanager",
                "see `alerting` in manifests/prometheus/prometheus.yml",
            ));
        }
        let held = sent_since(&alertmanager.alerts(WATCHDOG).await?, context.started_at)?;
        let age = delivered(&consumer.alerts().await?, Timestamp::now())?;
        Ok(format!(
            "{WATCHDOG} sent {:.1} s after the question, delivered to the receiver {} s ago",
            (held.as_duration() - context.started_at.as_duration()).as_secs_f64(),
            age.as_secs()
        ))
    })
    .await
}

/// When Alertmanager was last sent the Watchdog, which has to be after the probe's start.
fn sent_since(alerts: &[Alert], since: Timestamp) -> Result<Timestamp, Finding> {
    let newest = alerts.iter().map(|alert| alert.updated_at).max();
    match newest {
        Some(newest) if newest > since => Ok(newest),
        Some(newest) => Err(Finding::at(
            Component::Prometheus,
            format!("Alertmanager was last sent {WATCHDOG} at {newest:.0}, before the question"),
        )),
        None => Err(Finding::at(
            Component::Prometheus,
            format!("Alertmanager holds no alert {WATCHDOG}"),
        )),
    }
}

/// How long ago the receiver was last handed the Watchdog as firing.
fn delivered(alerts: &[Delivered], now: Timestamp) -> Result<SignedDuration, Finding> {
    let watchdog = alerts
        .iter()
        .filter(|alert| alert.alertname == WATCHDOG && alert.status == "firing")
        .max_by_key(|alert| alert.received_at);
    let Some(watchdog) = watchdog else {
        return Err(Finding::at(
            Component::Alertmanager,
            format!("the receiver was never handed {WATCHDOG}"),
        ));
    };
    let age = now.duration_since(watchdog.received_at);
    if age > DELIVERY_BOUND {
        return Err(Finding::at(
            Component::Alertmanager,
            format!(
                "the receiver was last handed {WATCHDOG} {} s ago; at most {} s are allowed",
                age.as_secs(),
                DELIVERY_BOUND.as_secs()
            ),
        ));
    }
    Ok(age)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn sent() -> Sent {
        serde_json::from_value(json!({
            "message_id": Uuid::from_u128(1), "producer_id": Uuid::from_u128(2), "sequence": 41,
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7",
            "confirm_ms": 2,
        }))
        .unwrap()
    }

    fn received(field: &str, value: serde_json::Value) -> Received {
        let mut json = json!({
            "message_id": Uuid::from_u128(1), "producer_id": Uuid::from_u128(2), "sequence": 41,
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "parent_span_id": "00f067aa0ba902b7",
            "outcome": "handled", "deliveries": 1, "received_at": "2026-01-01T00:00:00Z",
            "latency_ms": 3.25,
        });
        json[field] = value;
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_same_message_in_the_same_trace_is_the_evidence() {
        let evidence = same_message(&sent(), &received("deliveries", json!(2))).unwrap();
        assert!(
            evidence.ends_with("in trace 4bf92f3577b34da6a3ce929d0e0e4736 after 3.2 ms"),
            "{evidence}"
        );
    }

    #[test]
    fn whatever_differs_is_named() {
        let table = [
            ("message_id", json!(Uuid::from_u128(9)), "sent message "),
            ("producer_id", json!(Uuid::from_u128(9)), "sent message "),
            ("sequence", json!(42), "sent number 41"),
            ("trace_id", json!("0"), "sent trace "),
            // The producer's parent in place of the producer: the classic error of hand-made propagation.
            ("parent_span_id", json!("0"), "sent span 00f067aa0ba902b7"),
            ("outcome", json!("rejected"), "has rejected message "),
        ];
        for (field, value, words) in table {
            let told = same_message(&sent(), &received(field, value)).unwrap_err();
            assert!(told.reason.contains(words), "{field}: {}", told.reason);
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn alerts(updated_at: &[&str]) -> Vec<Alert> {
        let alert = |at| json!({ "labels": { "alertname": WATCHDOG }, "updatedAt": at });
        let all: Vec<_> = updated_at.iter().map(alert).collect();
        serde_json::from_value(all.into()).unwrap()
    }

    #[test]
    fn an_alert_from_before_the_question_is_no_answer() {
        let early = "1970-01-01T00:01:39.5Z";
        let late = "1970-01-01T00:01:41.25Z";
        assert!(sent_since(&[], at(100)).is_err());
        assert!(sent_since(&alerts(&[early]), at(100)).is_err());
        assert!(sent_since(&alerts(&[late, early]), at(100)).is_ok());
    }

    #[test]
    fn only_a_recent_firing_watchdog_counts_as_delivered() {
        let delivery = |name: &str, status: &str, received_at: Timestamp| Delivered {
            alertname: name.to_owned(),
            status: status.to_owned(),
            received_at,
        };
        let held = |alerts: &[Delivered]| delivered(alerts, at(1_000));
        assert!(held(&[]).is_err());
        assert!(held(&[delivery("Other", "firing", at(999))]).is_err());
        assert!(held(&[delivery(WATCHDOG, "resolved", at(999))]).is_err());
        assert!(held(&[delivery(WATCHDOG, "firing", at(969))]).is_err());
        assert_eq!(
            held(&[delivery(WATCHDOG, "firing", at(990))]),
            Ok(SignedDuration::from_secs(10))
        );
    }
}
