//! Every arrow of the diagrams, proven or broken on the running lab.

mod engine;

pub use engine::{Cause, Engine, EngineError, Fault, NodeFacts, Presence};
