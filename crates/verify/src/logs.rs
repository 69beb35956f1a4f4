//! Diagram 3: the log line of a tracer message, from the consumer's pod through Promtail and Loki into the buckets and
//! Grafana.

mod buckets;
mod delete_requests;
mod reading;

pub(crate) use buckets::{loki_to_minio, minio_to_loki_chunks, minio_to_loki_ruler};
pub use delete_requests::leave_delete_request;
pub(crate) use delete_requests::{PREFIX as DELETE_REQUESTS, minio_to_loki_admin};
pub(crate) use reading::pods_to_promtail;

use blueprint::Component;
use jiff::SignedDuration;
use messaging::tracer::TracerKind;

use crate::{
    client::{
        admin::Sent,
        loki::{Line, Loki},
    },
    context::Context,
    finding::{Finding, Probed},
    poll,
};

/// How long before the probe's start the search for a line starts: clocks of two machines differ.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

pub(crate) async fn promtail_to_loki(context: &Context<'_>) -> Probed {
    let sent = context.tracers.sent(context, TracerKind::Normal).await?;
    find_line(context, &context.loki().await?, &sent).await
}

pub(crate) async fn loki_to_grafana(context: &Context<'_>) -> Probed {
    let sent = context.tracers.sent(context, TracerKind::Normal).await?;
    find_line(context, &context.grafana().await?.loki(), &sent).await
}

/// Waits for the consumer's line about a tracer message.
async fn find_line(context: &Context<'_>, loki: &Loki, sent: &Sent) -> Probed {
    let query = format!(
        "{{namespace=\"{}\",container=\"{}\"}} |= `{}`",
        Component::Consumer.namespace(),
        Component::Consumer.name(),
        sent.message_id
    );
    let since = context.started_at - SKEW;
    poll::until("the consumer's log line", context.deadline, async || {
        of_the_same_trace(&loki.lines(&query, since).await?, sent)
    })
    .await
}

fn of_the_same_trace(lines: &[Line], sent: &Sent) -> Probed {
    let Some(line) = lines
        .iter()
        .find(|line| line.text.contains(&sent.message_id.to_string()))
    else {
        return Err(Finding::new(
            format!("no line of the consumer names message {}", sent.message_id),
            "see `cargo xtask logs promtail` and `cargo xtask logs loki`",
        ));
    };
    if !line.text.contains(&sent.trace_id) {
        return Err(Finding::at(
            Component::Consumer,
            format!(
                "the line about message {} lacks its trace {}",
                sent.message_id, sent.trace_id
            ),
        ));
    }
    let pod = line
        .labels
        .get("pod")
        .map_or("the consumer", String::as_str);
    Ok(format!(
        "line of {pod} about message {} in trace {}",
        sent.message_id, sent.trace_id
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn sent() -> Sent {
        serde_json::from_value(json!({
            "message_id": Uuid::from_u128(1), "producer_id": Uuid::from_u128(2), "sequence": 1,
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7",
            "confirm_ms": 2,
        }))
        .unwrap()
    }

    fn line(text: &str) -> Line {
        Line {
            labels: BTreeMap::from([("pod".to_owned(), "consumer-0".to_owned())]),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_line_with_both_ids_is_the_evidence() {
        let sent = sent();
        let text = format!(
            "{{\"message_id\":\"{}\",\"trace_id\":\"{}\"}}",
            sent.message_id, sent.trace_id
        );
        let evidence = of_the_same_trace(&[line(&text)], &sent).unwrap();
        assert!(
            evidence.starts_with("line of consumer-0 about message"),
            "{evidence}"
        );
    }

    #[test]
    fn a_line_without_the_trace_is_not_enough() {
        let sent = sent();
        let told = of_the_same_trace(&[line(&sent.message_id.to_string())], &sent).unwrap_err();
        assert!(told.reason.contains("lacks its trace"), "{}", told.reason);
        assert!(of_the_same_trace(&[line(&sent.trace_id)], &sent).is_err());
        assert!(of_the_same_trace(&[], &sent).is_err());
    }
}
