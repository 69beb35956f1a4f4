//! A journal that the connections of one process write together.

use std::{
    ops::RangeInclusive,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use uuid::Uuid;

use crate::journal::{Journal, JournalError, Kind};

/// One of the hands on a journal.
#[derive(Clone, Debug)]
pub(crate) struct SharedJournal(Arc<Mutex<Journal>>);

impl SharedJournal {
    /// See [`Journal::open`].
    pub(crate) fn open(path: &Path) -> Result<Self, JournalError> {
        Ok(Self(Arc::new(Mutex::new(Journal::open(path)?))))
    }

    /// See [`Journal::append`].
    pub(crate) fn append(
        &self,
        kind: Kind,
        records: impl IntoIterator<Item = (Uuid, RangeInclusive<u64>)>,
    ) -> Result<(), JournalError> {
        let mut journal = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        journal.append(kind, records)
    }
}
