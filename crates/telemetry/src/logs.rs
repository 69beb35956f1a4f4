//! Logs: a tracing layer that turns each event into one JSON line and hands it to a queue.

mod line;
mod queue;

use opentelemetry::Context as TraceContext;
use opentelemetry::trace::TraceContextExt;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

pub use queue::LogQueue;

/// Writes events as JSON lines.
pub struct JsonLayer {
    queue: LogQueue,
}

impl JsonLayer {
    pub fn new(queue: LogQueue) -> Self {
        Self { queue }
    }
}

impl<S: Subscriber> Layer<S> for JsonLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // The tracing-opentelemetry layer activates the context of the span that is entered.
        let span = TraceContext::map_current(|context| context.span().span_context().clone());
        self.queue.push(&line::format(event, &span));
    }
}

#[cfg(test)]
mod tests;
