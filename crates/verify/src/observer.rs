//! What a verification tells while it runs, for a progress display.

use blueprint::Arrow;

use crate::report::ArrowReport;

/// Where a falsification stands with an arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The probe has to be green before anything is broken.
    Baseline,
    /// The fault is being put in place.
    Injecting,
    /// The probe has to go red.
    WaitingForRed,
    /// The fault is being undone.
    Healing,
    /// The probe has to go green again.
    WaitingForGreen,
}

/// Is told of each arrow; every method does nothing unless it is implemented.
pub trait Observer: Sync {
    /// The arrow's probe, or its falsification, has begun.
    fn started(&self, _arrow: Arrow) {}

    /// A falsification has come to a further phase; `what` names the fault.
    fn phase(&self, _arrow: Arrow, _phase: Phase, _what: &str) {}

    /// The arrow is done.
    fn finished(&self, _report: &ArrowReport) {}
}

/// Watches nothing.
impl Observer for () {}
