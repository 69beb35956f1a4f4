//! The lab that a campaign works on, as far as the schedule, the judge and the report need to know.
//!
//! [`host`] is one that the host engine brings up for the campaign. The one on a cluster is a lab that runs already, and
//! stands with the cluster engine, which alone speaks to Kubernetes.

pub mod host;

use std::time::Duration;

use messaging::{dead_letter::DeadLetter, tracer::TracerKind};

use crate::{ChaosError, admin::Receipt, journals::Journals, schedule::Step};

/// A running lab under load, with its journals.
#[expect(
    async_fn_in_trait,
    reason = "a campaign is one task: nobody sends its futures elsewhere"
)]
pub trait Site {
    /// What its producers and consumers have written down.
    fn journals(&self) -> &Journals;

    /// The broker's version.
    fn broker_version(&self) -> &str;

    /// How long the way back from a fault may take.
    fn recovery(&self) -> Duration;

    /// Makes a fault, waits by a condition until it is felt, and lifts it. Returns what it did, with what was seen of it.
    ///
    /// # Errors
    /// When the fault cannot be made, is not felt, or cannot be lifted.
    async fn inject(&self, step: Step) -> Result<String, ChaosError>;

    /// Whether all of the lab is back; what is missing is the error.
    ///
    /// # Errors
    /// What stands in the way, in words.
    async fn is_whole(&self) -> Result<(), String>;

    /// Lets go of what a fault has left aside until the lab had recovered without it.
    fn recovered(&self);

    /// Makes a producer publish a tracer message and waits for its confirm.
    ///
    /// # Errors
    /// Why it was not confirmed, in words.
    async fn publish(&self, kind: TracerKind) -> Result<Receipt, String>;

    /// What a consumer says of itself, for people.
    async fn consumer_says(&self) -> String;

    /// What lies in the dead-letter queue on account of the campaign.
    ///
    /// # Errors
    /// When the broker does not show it.
    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, ChaosError>;

    /// Ends the producers, where they are the campaign's own.
    ///
    /// # Errors
    /// When they cannot be ended.
    async fn end_producers(&self) -> Result<(), ChaosError>;

    /// Ends the consumers, where they are the campaign's own.
    ///
    /// # Errors
    /// When they cannot be ended.
    async fn end_consumers(&self) -> Result<(), ChaosError>;
}
