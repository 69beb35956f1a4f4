//! The judge: the journals and the dead-letter queue, compared when all is over.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use messaging::{
    dead_letter::DeadLetter,
    journal::{Ledger, Sequences, count},
    ranges::RangeSet,
    tracer::TracerKind,
};
use uuid::Uuid;

use crate::{ChaosError, journals::Journals, site::Site};

/// Consumers that handle nothing of what is missing for so long will not handle it. It covers the time after which the
/// broker gives a vanished consumer's messages to the next one.
const IDLE: Duration = Duration::from_secs(20);

/// How often the drain is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What became of the messages of a campaign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Messages that the broker has confirmed.
    pub confirmed: u64,
    /// Messages that were handled, each counted once, those included whose confirm was lost.
    pub acknowledged: u64,
    /// Confirmed, and neither handled nor in the dead-letter queue, as `<producer>: <sequence numbers>`.
    pub lost: Vec<String>,
    /// How many these are.
    pub lost_count: u64,
    /// Messages that were handled again without being recognised as duplicates.
    pub unaccounted: u64,
    /// Messages that a second consumer has handled, which could not know them, because a fault had brought them again.
    pub repeated: u64,
    /// Messages in the dead-letter queue.
    pub dead_letters: u64,
    /// Those among them that were not meant to die, with the broker's reason.
    pub unexplained: Vec<String>,
}

impl Verdict {
    /// Whether nothing was lost, repeated or given up.
    pub fn holds(&self) -> bool {
        self.lost_count == 0 && self.unaccounted == 0 && self.unexplained.is_empty()
    }
}

/// Ends the workload in an orderly way where it is the campaign's own, and judges all that was confirmed until then.
pub(crate) async fn judge(site: &impl Site) -> Result<Verdict, ChaosError> {
    let journals = site.journals();
    site.end_producers().await?;
    let confirmed = journals.all_confirmed()?;
    drain(journals, &confirmed).await?;
    site.end_consumers().await?;
    // The dead letters after what was given up: what is given up meanwhile arrives there a moment later.
    let given_up = journals.given_up()?;
    let ledger = journals.ledger_of(&confirmed)?;
    let (repeated, unaccounted) = journals.repeated()?;
    let dead = site.dead_letters().await?;
    Ok(Verdict {
        repeated,
        ..weigh(&ledger, &given_up, unaccounted, &dead)
    })
}

/// Waits until the consumers have all of these messages, or until nothing of what is missing arrives any more.
async fn drain(journals: &Journals, confirmed: &Sequences) -> Result<(), ChaosError> {
    let mut last = (u64::MAX, Instant::now());
    while last.1.elapsed() < IDLE {
        let missing = journals.ledger_of(confirmed)?.lost_count();
        if missing == 0 {
            return Ok(());
        }
        if missing != last.0 {
            last = (missing, Instant::now());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// The verdict over what the journals say (`given_up` by the consumer's) and what lies in the dead-letter queue.
pub fn weigh(
    ledger: &Ledger,
    given_up: &Sequences,
    unaccounted: u64,
    dead: &[DeadLetter],
) -> Verdict {
    let origins = origins(dead);
    let mut lost = missing(&ledger.lost, &origins);
    // What the consumer has given up must have arrived where such messages go.
    for (producer, ranges) in missing(given_up, &origins) {
        lost.entry(producer).or_default().extend(&ranges);
    }
    let unexplained = dead
        .iter()
        .filter(|letter| letter.tracer != Some(TracerKind::Poison))
        .map(|letter| match letter.origin {
            Some((producer, sequence)) => {
                format!("message {sequence} of {producer}: {}", letter.reason)
            }
            None => format!("a message that is none of the lab's: {}", letter.reason),
        })
        .collect();
    Verdict {
        confirmed: ledger.confirmed,
        acknowledged: ledger.acknowledged,
        lost_count: count(&lost),
        lost: lost
            .iter()
            .map(|(producer, ranges)| format!("{producer}: {ranges}"))
            .collect(),
        unaccounted,
        repeated: 0,
        dead_letters: dead.len() as u64,
        unexplained,
    }
}

fn origins(dead: &[DeadLetter]) -> BTreeSet<(Uuid, u64)> {
    dead.iter().filter_map(|letter| letter.origin).collect()
}

/// What of `wanted` is not among the dead letters.
fn missing(wanted: &Sequences, dead: &BTreeSet<(Uuid, u64)>) -> Sequences {
    let mut left = BTreeMap::new();
    for (&producer, ranges) in wanted {
        let found: RangeSet = dead
            .range((producer, 0)..=(producer, u64::MAX))
            .map(|&(_, sequence)| sequence)
            .collect();
        let ranges = ranges.difference(&found);
        if !ranges.is_empty() {
            left.insert(producer, ranges);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCER: Uuid = Uuid::from_u128(1);

    fn ledger(lost: &[u64]) -> Ledger {
        Ledger {
            confirmed: 100,
            acknowledged: 100 - lost.len() as u64,
            dead: 0,
            lost: sequences(lost),
        }
    }

    fn sequences(numbers: &[u64]) -> Sequences {
        if numbers.is_empty() {
            return Sequences::new();
        }
        BTreeMap::from([(PRODUCER, numbers.iter().copied().collect())])
    }

    fn letter(sequence: u64, tracer: Option<TracerKind>) -> DeadLetter {
        DeadLetter {
            message_id: None,
            origin: Some((PRODUCER, sequence)),
            reason: "delivery_limit".to_owned(),
            queue: "work".to_owned(),
            deaths: 1,
            tracer,
        }
    }

    #[test]
    fn all_handled_and_poison_among_the_dead_holds() {
        let dead = [letter(7, Some(TracerKind::Poison))];
        // The consumer was killed before it wrote that it gave the message up.
        for given_up in [sequences(&[7]), sequences(&[])] {
            let verdict = weigh(&ledger(&[7]), &given_up, 0, &dead);
            assert!(verdict.holds(), "{verdict:?}");
            assert_eq!(verdict.dead_letters, 1);
        }
    }

    #[test]
    fn what_nobody_has_is_lost() {
        let verdict = weigh(&ledger(&[3, 4, 9]), &sequences(&[]), 0, &[]);
        assert!(!verdict.holds());
        assert_eq!(verdict.lost_count, 3);
        assert_eq!(verdict.lost, [format!("{PRODUCER}: 3-4, 9")]);
    }

    #[test]
    fn what_was_given_up_and_is_no_dead_letter_is_lost() {
        let verdict = weigh(&ledger(&[]), &sequences(&[5]), 0, &[]);
        assert_eq!(verdict.lost, [format!("{PRODUCER}: 5")]);
    }

    #[test]
    fn a_repetition_that_nobody_recognised_is_unaccounted_for() {
        assert!(!weigh(&ledger(&[]), &sequences(&[]), 1, &[]).holds());
    }

    #[test]
    fn a_message_that_was_not_meant_to_die_is_unexplained() {
        for tracer in [None, Some(TracerKind::Normal)] {
            let verdict = weigh(&ledger(&[8]), &sequences(&[]), 0, &[letter(8, tracer)]);
            assert_eq!(verdict.lost_count, 0, "it is in the dead-letter queue");
            assert_eq!(
                verdict.unexplained,
                [format!("message 8 of {PRODUCER}: delivery_limit")]
            );
            assert!(!verdict.holds());
        }
    }
}
