//! The tracer messages of a verification: one that is handled and one that is poison, each sent once and shared by all
//! probes that follow it.

use blueprint::Component;
use messaging::tracer::TracerKind;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::{
    client::admin::{Received, Sent},
    context::Context,
    finding::Finding,
    poll,
};

/// What was sent so far.
#[derive(Debug, Default)]
pub(crate) struct Tracers {
    normal: OnceCell<Result<Sent, Finding>>,
    poison: OnceCell<Result<Sent, Finding>>,
}

impl Tracers {
    /// The tracer message of this kind, sent by the first who asks.
    pub(crate) async fn sent(
        &self,
        context: &Context<'_>,
        kind: TracerKind,
    ) -> Result<Sent, Finding> {
        let cell = match kind {
            TracerKind::Normal => &self.normal,
            TracerKind::Poison => &self.poison,
        };
        cell.get_or_init(|| send(context, kind)).await.clone()
    }
}

/// Has the producer send a tracer message of its own, for a probe that has to look before and after.
pub(crate) async fn send(context: &Context<'_>, kind: TracerKind) -> Result<Sent, Finding> {
    let producer = context.producer().await?;
    poll::until(
        "a confirmed tracer message",
        context.deadline,
        async || -> Result<Sent, Finding> { Ok(producer.send(kind).await?) },
    )
    .await
}

/// Waits until the consumer tells what it did with a message.
pub(crate) async fn received(context: &Context<'_>, message: Uuid) -> Result<Received, Finding> {
    let consumer = context.consumer().await?;
    poll::until("the consumer", context.deadline, async || {
        consumer.received(message).await?.ok_or_else(|| {
            Finding::at(
                Component::Consumer,
                format!("it has not seen message {message}"),
            )
        })
    })
    .await
}
