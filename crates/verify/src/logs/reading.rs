//! `pods->promtail`: Promtail has read the consumer's log past the line of a tracer message.

use blueprint::Component;
use messaging::tracer::TracerKind;

use crate::{
    client::{admin::Sent, exposition},
    context::Context,
    finding::{Finding, Probed},
    poll, tracers,
};

pub(crate) async fn pods_to_promtail(context: &Context<'_>) -> Probed {
    let promtail = context.endpoint(Component::Promtail).await?;
    let namespace = context.engine.namespace(Component::Consumer);
    let progress = async || {
        Ok::<_, Finding>(Progress::read(
            &promtail.get("/metrics").text().await?,
            &namespace,
        ))
    };
    let before = poll::until("Promtail", context.deadline, progress).await?;
    // One of its own: the shared one may have been logged before the look at Promtail.
    let sent = tracers::send(context, TracerKind::Normal).await?;
    tracers::received(context, sent.message_id).await?;
    poll::until(
        "Promtail to read the consumer's log",
        context.deadline,
        async || before.passed(&progress().await?, &sent),
    )
    .await
}

/// How far Promtail has read the consumer's log, summed over its pods.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Progress {
    files: usize,
    lines: f64,
    bytes: f64,
    behind: f64,
}

impl Progress {
    /// `namespace` is the consumer's.
    fn read(exposition: &str, namespace: &str) -> Self {
        let pods = format!("/{namespace}_{}-", Component::Consumer.name());
        let values = |metric: &'static str| {
            exposition::samples(exposition, metric)
                .filter(|sample| {
                    sample
                        .label("path")
                        .is_some_and(|path| path.contains(&pods))
                })
                .map(|sample| sample.value)
        };
        let bytes = values("promtail_read_bytes_total").sum();
        Self {
            files: values("promtail_read_bytes_total").count(),
            lines: values("promtail_read_lines_total").sum(),
            bytes,
            behind: values("promtail_file_bytes_total").sum::<f64>() - bytes,
        }
    }

    /// Whether the line of a message that was sent after `self` has been read by the time of `after`: the log grew by
    /// at least a line that holds its two ids, and nothing of it is unread.
    fn passed(&self, after: &Self, sent: &Sent) -> Probed {
        let remedy = "see Promtail's page /targets, and `cargo xtask logs promtail`";
        if after.files == 0 {
            return Err(Finding::new(
                "Promtail reads no log of the consumer",
                remedy,
            ));
        }
        #[expect(clippy::cast_precision_loss, reason = "two ids are some 70 bytes")]
        let least = (sent.message_id.to_string().len() + sent.trace_id.len()) as f64;
        let (lines, bytes) = (after.lines - self.lines, after.bytes - self.bytes);
        if lines < 1.0 || bytes < least || after.behind > 0.0 {
            return Err(Finding::new(
                format!(
                    "since the tracer message Promtail has read {lines} lines, {bytes} bytes of the consumer's log, \
                     {} bytes are unread",
                    after.behind
                ),
                remedy,
            ));
        }
        Ok(format!(
            "{lines} lines, {bytes} bytes of the consumer's log read since message {}, none unread",
            sent.message_id
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const NAMESPACE: &str = Component::Consumer.namespace();

    const OTHER: &str = "/x/log/pods/rabbitmq-rust-app_producer-0_7/producer/0.log";
    const OWN: &str = "/x/log/pods/rabbitmq-rust-app_consumer-0_7/consumer/0.log";

    fn exposition(path: &str, lines: u32, read: u32, size: u32) -> String {
        format!(
            "promtail_read_lines_total{{path=\"{path}\"}} {lines}\n\
             promtail_read_bytes_total{{path=\"{path}\"}} {read}\n\
             promtail_file_bytes_total{{path=\"{path}\"}} {size}\n"
        )
    }

    fn sent() -> Sent {
        serde_json::from_value(json!({
            "message_id": Uuid::from_u128(1), "producer_id": Uuid::from_u128(2), "sequence": 1,
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7",
            "confirm_ms": 2,
        }))
        .unwrap()
    }

    fn verdict(after: &str) -> Probed {
        let before = Progress::read(&exposition(OWN, 10, 1000, 1000), NAMESPACE);
        before.passed(&Progress::read(after, NAMESPACE), &sent())
    }

    #[test]
    fn a_log_that_grew_by_a_line_with_both_ids_and_is_read_to_its_end_holds() {
        let evidence = verdict(&exposition(OWN, 11, 1200, 1200)).unwrap();
        assert!(evidence.starts_with("1 lines, 200 bytes"), "{evidence}");
    }

    #[test]
    fn what_does_not_pass_the_line_is_no_proof() {
        let table = [
            (exposition(OWN, 10, 1000, 1000), "0 lines, 0 bytes"),
            (exposition(OWN, 11, 1020, 1020), "1 lines, 20 bytes"),
            (exposition(OWN, 11, 1200, 1300), "100 bytes are unread"),
            (
                exposition(OTHER, 99, 9000, 9000),
                "reads no log of the consumer",
            ),
        ];
        for (after, words) in table {
            let told = verdict(&after).unwrap_err().reason;
            assert!(told.contains(words), "{told}");
        }
    }
}
