//! Messages through RabbitMQ without loss: envelope, topology, publisher, consumer, journal.

pub mod backoff;
pub mod broker;
pub mod consumer;
pub mod dead_letter;
pub mod duplicates;
pub mod envelope;
pub mod journal;
pub mod metrics;
pub mod publisher;
pub mod queue;
pub mod ranges;
pub mod stop;
pub mod topology;
pub mod trace_context;
pub mod tracer;
mod turns;
