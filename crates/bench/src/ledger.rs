//! The account of a run: nothing that was confirmed may be gone.

use messaging::journal::Ledger;
use serde::Serialize;

use crate::management::Counters;

/// What was counted over a whole run, warming up and ending included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Messages that the broker received.
    pub received: u64,
    /// Messages that it confirmed.
    pub confirmed: u64,
    /// Messages that it took acknowledgements for.
    pub acknowledged: u64,
    /// Messages that lie in the queue at the end.
    pub left: u64,
}

impl Account {
    /// The account of a run by the broker's counters and the queue's length.
    pub fn of(counters: Counters, left: u64) -> Self {
        Self {
            received: counters.received,
            confirmed: counters.confirmed,
            acknowledged: counters.acknowledged,
            left,
        }
    }

    /// Whether every message that was received was acknowledged or lies in the queue. A queue's length is looked at every few
    /// seconds, so that this may take a while to hold.
    pub fn balances(&self) -> bool {
        self.received == self.acknowledged + self.left
    }

    /// Whether every message that was confirmed is accounted for, and none that was not received. What the broker received
    /// and did not confirm before the client was gone may be in no queue: nobody was promised anything.
    pub fn keeps_what_was_confirmed(&self) -> bool {
        (self.confirmed..=self.received).contains(&(self.acknowledged + self.left))
    }
}

/// Whether the two journals agree with each other and with the broker: what the producers had confirmed the consumers have
/// handled, and nobody speaks of more than the broker has seen.
pub fn agrees(ledger: &Ledger, account: &Account) -> Result<(), String> {
    if ledger.lost_count() > 0 {
        return Err(format!(
            "{} of {} confirmed messages were not handled",
            ledger.lost_count(),
            ledger.confirmed
        ));
    }
    if ledger.confirmed > account.confirmed || ledger.acknowledged > account.received {
        return Err(format!(
            "the journals have {} confirmed and {} handled, the broker {} and {}",
            ledger.confirmed, ledger.acknowledged, account.confirmed, account.received
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use messaging::{journal::Sequences, ranges::RangeSet};

    use super::*;

    const ACCOUNT: Account = Account {
        received: 10,
        confirmed: 9,
        acknowledged: 7,
        left: 3,
    };

    #[test]
    fn a_message_is_acknowledged_or_in_the_queue_or_gone() {
        assert!(ACCOUNT.balances());
        let gone = Account { left: 2, ..ACCOUNT };
        assert!(!gone.balances());
    }

    #[test]
    fn only_what_was_confirmed_must_be_there() {
        let left = |left| Account { left, ..ACCOUNT };
        assert!(left(3).keeps_what_was_confirmed());
        assert!(
            left(2).keeps_what_was_confirmed(),
            "received, never confirmed"
        );
        assert!(!left(1).keeps_what_was_confirmed(), "one is lost");
        assert!(!left(4).keeps_what_was_confirmed(), "one came from nowhere");
    }

    #[test]
    fn journals_that_lack_a_confirmed_message_or_know_of_more_do_not_agree() {
        let mut ledger = Ledger {
            confirmed: 9,
            acknowledged: 10,
            dead: 0,
            lost: Sequences::new(),
        };
        assert_eq!(agrees(&ledger, &ACCOUNT), Ok(()));
        ledger.confirmed = 10;
        assert!(agrees(&ledger, &ACCOUNT).is_err());
        ledger.confirmed = 9;
        let mut one = RangeSet::default();
        one.insert(5);
        ledger.lost.insert(Default::default(), one);
        let error = agrees(&ledger, &ACCOUNT).unwrap_err();
        assert_eq!(error, "1 of 9 confirmed messages were not handled");
    }
}
