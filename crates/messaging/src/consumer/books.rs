//! What all connections of a consumer know together: which messages were handled, and the journal that says so.
//!
//! A delivery may be acknowledged as a duplicate of one that another connection handled. What was handled is therefore
//! written down for all of them before any of them acknowledges.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    duplicates::{DuplicateLedger, Holder, Key, Seen},
    journal::{Journal, JournalError, Kind, runs},
};

/// One of the hands on the books.
#[derive(Clone, Debug)]
pub(super) struct Books(Arc<Mutex<Pages>>);

#[derive(Debug)]
struct Pages {
    journal: Option<Journal>,
    ledger: DuplicateLedger,
    /// Handled and not in the journal yet.
    unwritten: Vec<Key>,
}

impl Books {
    /// Books that know what the journal knows.
    pub(super) fn open(journal: Option<&Path>) -> Result<Self, JournalError> {
        let journal = journal.map(Journal::open).transpose()?;
        let handled = journal
            .as_ref()
            .map(|journal| journal.records().acked.clone())
            .unwrap_or_default();
        Ok(Self(Arc::new(Mutex::new(Pages {
            journal,
            ledger: DuplicateLedger::new(handled),
            unwritten: Vec::new(),
        }))))
    }

    /// A delivery arrived: is it to be handled?
    pub(super) fn begin(&self, holder: Holder, key: Key) -> Seen {
        self.pages().ledger.begin(holder, key)
    }

    /// A delivery was handled: for the first time?
    pub(super) fn handled(&self, holder: Holder, key: Key) -> Seen {
        let mut pages = self.pages();
        let seen = pages.ledger.finish(holder, key);
        if seen == Seen::First && pages.journal.is_some() {
            pages.unwritten.push(key);
        }
        seen
    }

    /// A delivery was rejected; when it was the `last` of its message, the journal says so when this returns.
    pub(super) fn rejected(
        &self,
        holder: Holder,
        key: Key,
        last: bool,
    ) -> Result<(), JournalError> {
        let mut pages = self.pages();
        pages.ledger.lay_down(holder, key);
        match &mut pages.journal {
            Some(journal) if last => journal.append(Kind::Dead, runs(&mut [key])),
            _ => Ok(()),
        }
    }

    /// A connection is gone, and with it whatever it had in hand.
    pub(super) fn lay_down_all(&self, holder: Holder) {
        self.pages().ledger.lay_down_all(holder);
    }

    /// Writes down what was handled.
    pub(super) fn write(&self) -> Result<(), JournalError> {
        let Pages {
            journal, unwritten, ..
        } = &mut *self.pages();
        match journal {
            Some(journal) if !unwritten.is_empty() => {
                let written = journal.append(Kind::Acked, runs(unwritten));
                unwritten.clear();
                written
            }
            _ => Ok(()),
        }
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::journal::Records;

    const PRODUCER: Uuid = Uuid::from_u128(1);

    #[test]
    fn what_one_connection_handled_is_written_before_another_acknowledges_its_copy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let one = Books::open(Some(&path)).unwrap();
        let other = one.clone();
        assert_eq!(one.begin(1, (PRODUCER, 7)), Seen::First);
        assert_eq!(one.handled(1, (PRODUCER, 7)), Seen::First);
        assert_eq!(other.begin(2, (PRODUCER, 7)), Seen::Duplicate);
        other.write().unwrap();
        let written = Records::read(&path).unwrap();
        assert!(written.acked[&PRODUCER].contains(7));
        let bytes = path.metadata().unwrap().len();
        one.write().unwrap();
        assert_eq!(path.metadata().unwrap().len(), bytes, "written once");
    }
}
