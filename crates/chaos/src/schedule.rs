//! Which fault comes next, after how many messages, for how many, and on which of several: drawn from a seed alone.

use std::{collections::VecDeque, ops::RangeInclusive};

use fastrand::Rng;
use terminal::cli::Fault;

/// How many messages a schedule counts by, which is a matter of how many there are in a second.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Confirmed messages between two faults.
    pub load: RangeInclusive<u64>,
    /// Messages that a fault lasts where it lasts for messages.
    pub hold: RangeInclusive<u64>,
}

/// One fault of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The fault.
    pub fault: Fault,
    /// How many messages are confirmed since the one before was over.
    pub load: u64,
    /// How many messages it lasts, where it lasts for messages.
    pub hold: u64,
    /// Which one it strikes, where there are several: this modulo their number.
    pub which: usize,
}

/// An endless schedule. It deals the faults like cards: each comes once, in a drawn order, before any comes again.
#[derive(Debug)]
pub struct Schedule {
    random: Rng,
    /// Of its own, because a lab that has one of each draws nothing from it.
    choice: Rng,
    pace: Pace,
    faults: Vec<Fault>,
    dealt: VecDeque<Fault>,
}

impl Schedule {
    /// The schedule of a seed over these faults.
    pub fn new(seed: u64, mut faults: Vec<Fault>, pace: Pace) -> Self {
        // The seed alone decides, not the order in which the faults were named.
        faults.sort_unstable();
        faults.dedup();
        Self {
            random: Rng::with_seed(seed),
            choice: Rng::with_seed(!seed),
            pace,
            faults,
            dealt: VecDeque::new(),
        }
    }
}

impl Iterator for Schedule {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.dealt.is_empty() {
            let mut cards = self.faults.clone();
            self.random.shuffle(&mut cards);
            self.dealt = cards.into();
        }
        Some(Step {
            fault: self.dealt.pop_front()?,
            load: self.random.u64(self.pace.load.clone()),
            hold: self.random.u64(self.pace.hold.clone()),
            which: self.choice.usize(..),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const FAULTS: [Fault; 4] = [
        Fault::KillBroker,
        Fault::Poison,
        Fault::CutProducer,
        Fault::DiskAlarm,
    ];

    fn pace() -> Pace {
        Pace {
            load: 10..=20,
            hold: 1..=5,
        }
    }

    fn steps(seed: u64, faults: &[Fault]) -> Vec<Step> {
        Schedule::new(seed, faults.to_vec(), pace())
            .take(40)
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        let mut reversed = FAULTS;
        reversed.reverse();
        assert_eq!(steps(7, &FAULTS), steps(7, &reversed));
        assert_ne!(steps(7, &FAULTS), steps(8, &FAULTS));
    }

    #[test]
    fn each_fault_comes_once_before_any_comes_again() {
        for round in steps(1, &FAULTS).chunks(FAULTS.len()) {
            let faults: BTreeSet<Fault> = round.iter().map(|step| step.fault).collect();
            assert_eq!(faults.len(), FAULTS.len());
        }
    }

    #[test]
    fn loads_and_holds_are_of_the_pace() {
        for step in steps(3, &FAULTS) {
            assert!(pace().load.contains(&step.load), "{step:?}");
            assert!(pace().hold.contains(&step.hold), "{step:?}");
        }
    }

    #[test]
    fn no_faults_make_no_schedule() {
        assert_eq!(Schedule::new(1, Vec::new(), pace()).next(), None);
    }
}
