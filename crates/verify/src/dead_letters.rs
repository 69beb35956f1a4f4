//! `rabbitmq->dead-letter`: a poison message is found among the dead letters, given up for the right reason.

use std::time::Duration;

use blueprint::{Account, Component};
use messaging::{
    broker::{BrokerSettings, PasswordSource},
    dead_letter::{self, DeadLetter},
    topology::{DEAD_LETTER_QUEUE, QUEUE, VHOST},
};
use uuid::Uuid;

use crate::{
    context::Context,
    finding::{self, Finding, Probed},
    poll::{self, Step},
};

/// Why RabbitMQ gives up a message that was taken back too often (`x-first-death-reason`).
const REASON: &str = "delivery_limit";

/// How long one look at the queue waits for the message.
const LOOK: Duration = Duration::from_secs(1);

/// Waits until the message is among the dead letters, takes it from there and says why it was.
pub(crate) async fn holds(context: &Context<'_>, message: Uuid) -> Probed {
    let broker = broker(context).await?;
    poll::until("the dead letter", context.deadline, async || {
        match dead_letter::take(&broker, message, LOOK).await {
            // It is out of the queue: whatever it says, it will say nothing else.
            Ok(Some(letter)) => match judge(message, &letter) {
                Ok(evidence) => Step::Done(evidence),
                Err(finding) => Step::Never(finding),
            },
            Ok(None) => Step::NotYet(Finding::new(
                format!("message {message} is not in {DEAD_LETTER_QUEUE}"),
                "see the policies and bindings in manifests/rabbitmq/topology.json, and `cargo xtask logs consumer`",
            )),
            Err(error) => Step::NotYet(Finding::at(Component::Rabbitmq, finding::chain(&error))),
        }
    })
    .await
}

async fn broker(context: &Context<'_>) -> Result<BrokerSettings, Finding> {
    let account = Account::RabbitmqOperator;
    let address = context.engine.address(Component::Rabbitmq, "amqp").await?;
    Ok(BrokerSettings {
        host: address.ip().to_string(),
        port: address.port(),
        vhost: VHOST.to_owned(),
        username: account.username().to_owned(),
        password: PasswordSource::Value {
            password: context.engine.password(account)?,
            origin: account.name().to_owned(),
        },
        heartbeat: Duration::from_secs(10),
        connection_name: "verify".to_owned(),
    })
}

/// Whether the letter was given up by the queue `work` because its delivery limit was reached.
fn judge(message: Uuid, letter: &DeadLetter) -> Probed {
    if letter.reason != REASON || letter.queue != QUEUE {
        return Err(Finding::new(
            format!(
                "message {message} was given up by queue `{}` for `{}`, expected `{QUEUE}` and `{REASON}`",
                letter.queue, letter.reason
            ),
            "see the policy `work` in manifests/rabbitmq/topology.json",
        ));
    }
    Ok(format!(
        "message {message} given up by {QUEUE} for {REASON}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(reason: &str, queue: &str) -> DeadLetter {
        DeadLetter {
            message_id: Some(Uuid::from_u128(1)),
            origin: None,
            reason: reason.to_owned(),
            queue: queue.to_owned(),
            tracer: None,
            deaths: 1,
        }
    }

    #[test]
    fn only_the_delivery_limit_of_the_work_queue_counts() {
        let verdict = |reason, queue| judge(Uuid::from_u128(1), &letter(reason, queue));
        let evidence = verdict("delivery_limit", "work").unwrap();
        assert!(
            evidence.ends_with("given up by work for delivery_limit"),
            "{evidence}"
        );
        // Rejected without requeueing: dead-lettered, but not by the limit.
        let told = verdict("rejected", "work").unwrap_err().reason;
        assert!(told.contains("for `rejected`, expected"), "{told}");
        assert!(verdict("delivery_limit", "other").is_err());
    }
}
