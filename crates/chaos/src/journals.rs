//! The two journals, read along while they are written.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use messaging::{
    journal::{Follower, JournalError, Ledger, Sequences, compare},
    ranges::RangeSet,
};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::ChaosError;

/// How often the journals are looked at: often enough that no writer is replaced twice between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Both journals of the lab. Dropping it ends the reading.
#[derive(Debug)]
pub(crate) struct Journals {
    pair: Arc<Mutex<Pair>>,
    reading: JoinHandle<()>,
}

#[derive(Debug)]
struct Pair {
    producer: Follower,
    consumer: Follower,
}

impl Pair {
    fn look(&mut self) -> Result<(), JournalError> {
        // The consumer's first: what is confirmed meanwhile may be missing from it, and is no loss.
        self.consumer.look()?;
        self.producer.look()
    }
}

impl Journals {
    /// Follows these two from here on.
    pub(crate) fn follow(producer: &Path, consumer: &Path) -> Self {
        let pair = Arc::new(Mutex::new(Pair {
            producer: Follower::new(producer),
            consumer: Follower::new(consumer),
        }));
        let read = Arc::clone(&pair);
        let reading = tokio::spawn(async move {
            // Whoever asks next meets the same error and reports it.
            while lock(&read).look().is_ok() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Self { pair, reading }
    }

    /// How many messages the broker has confirmed.
    pub(crate) fn confirmed(&self) -> Result<u64, ChaosError> {
        Ok(count(&self.look()?.producer.records().confirmed))
    }

    /// Whether a message was handled.
    pub(crate) fn has_acknowledged(
        &self,
        producer: Uuid,
        sequence: u64,
    ) -> Result<bool, ChaosError> {
        let pair = self.look()?;
        let acked = pair.consumer.records().acked.get(&producer);
        Ok(acked.is_some_and(|acked| acked.contains(sequence)))
    }

    /// What the two say together.
    pub(crate) fn ledger(&self) -> Result<Ledger, ChaosError> {
        let pair = self.look()?;
        Ok(compare(pair.producer.records(), pair.consumer.records()))
    }

    /// What the consumer has given up.
    pub(crate) fn given_up(&self) -> Result<Sequences, ChaosError> {
        Ok(self.look()?.consumer.records().dead.clone())
    }

    /// How many messages were handled again without being recognised.
    pub(crate) fn acked_twice(&self) -> Result<u64, ChaosError> {
        Ok(self.look()?.consumer.acked_twice())
    }

    fn look(&self) -> Result<MutexGuard<'_, Pair>, ChaosError> {
        let mut pair = lock(&self.pair);
        pair.look()?;
        Ok(pair)
    }
}

impl Drop for Journals {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

fn lock(pair: &Mutex<Pair>) -> MutexGuard<'_, Pair> {
    pair.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(sequences: &Sequences) -> u64 {
    sequences
        .values()
        .map(RangeSet::len)
        .fold(0, u64::saturating_add)
}
