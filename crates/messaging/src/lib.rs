//! Messages through RabbitMQ without loss: envelope, topology, publisher, consumer, journal.

pub mod backoff;
pub mod duplicates;
pub mod envelope;
pub mod journal;
pub mod ranges;
pub mod topology;
pub mod trace_context;
pub mod tracer;
