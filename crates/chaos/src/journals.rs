//! The journals of a lab, read along while they are written.

pub(crate) mod sequences;
mod writers;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use messaging::journal::{Follower, JournalError, Ledger, Records, Sequences, compare, count};
use tokio::task::JoinHandle;
use uuid::Uuid;

use self::sequences::{difference, union};
use crate::{ChaosError, repetitions::Repetitions};

pub use self::writers::Writers;

/// How often the journals are looked at: often enough that no writer is replaced twice between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// All journals of a lab. What stood in them before they were followed is past and counts nowhere. Dropping it ends the
/// reading.
#[derive(Debug)]
pub struct Journals {
    books: Arc<Mutex<Books>>,
    reading: JoinHandle<()>,
}

#[derive(Debug)]
struct Books {
    producers: Writers,
    consumers: Writers,
    past: Past,
    repetitions: Repetitions,
}

/// What the journals said before the campaign.
#[derive(Debug, Default)]
struct Past {
    confirmed: Sequences,
    acked: Sequences,
    given_up: Sequences,
    acked_twice: u64,
}

impl Books {
    fn open(mut producers: Writers, mut consumers: Writers) -> Result<Self, JournalError> {
        consumers.look()?;
        producers.look()?;
        let repetitions = Repetitions::since(&acked(&consumers));
        let mut books = Self {
            producers,
            consumers,
            past: Past::default(),
            repetitions,
        };
        books.past = Past {
            confirmed: books.confirmed(),
            acked: union(acked(&books.consumers)),
            given_up: books.given_up(),
            acked_twice: books.acked_twice(),
        };
        Ok(books)
    }

    fn look(&mut self) -> Result<(), JournalError> {
        // The consumers' first: what is confirmed meanwhile may be missing from them, and is no loss.
        self.consumers.look()?;
        self.producers.look()
    }

    fn confirmed(&self) -> Sequences {
        let all = self.producers.followers();
        let confirmed = union(all.map(|journal| &journal.records().confirmed));
        difference(&confirmed, &self.past.confirmed)
    }

    fn given_up(&self) -> Sequences {
        let all = self.consumers.followers();
        let given_up = union(all.map(|journal| &journal.records().dead));
        difference(&given_up, &self.past.given_up)
    }

    fn acked_twice(&self) -> u64 {
        let all = self
            .consumers
            .followers()
            .map(Follower::acked_twice)
            .fold(0, u64::saturating_add);
        all.saturating_sub(self.past.acked_twice)
    }

    fn ledger_of(&self, confirmed: Sequences) -> Ledger {
        let producers = Records {
            confirmed,
            ..Records::default()
        };
        let consumers = Records {
            acked: union(acked(&self.consumers)),
            dead: self.given_up(),
            ..Records::default()
        };
        Ledger {
            acknowledged: count(&difference(&consumers.acked, &self.past.acked)),
            ..compare(&producers, &consumers)
        }
    }
}

/// What each consumer has handled.
fn acked(consumers: &Writers) -> Vec<&Sequences> {
    let all = consumers.followers();
    all.map(|journal| &journal.records().acked).collect()
}

impl Journals {
    /// Follows these from here on.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn follow(producers: Writers, consumers: Writers) -> Result<Self, ChaosError> {
        let books = Arc::new(Mutex::new(Books::open(producers, consumers)?));
        let read = Arc::clone(&books);
        let reading = tokio::spawn(async move {
            // Whoever asks next meets the same error and reports it.
            while lock(&read).look().is_ok() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Ok(Self { books, reading })
    }

    /// How many messages the broker has confirmed.
    ///
    /// # Errors
    /// When a journal cannot be read, as for every question below.
    pub fn confirmed(&self) -> Result<u64, ChaosError> {
        Ok(count(&self.all_confirmed()?))
    }

    /// The messages that the broker has confirmed.
    pub(crate) fn all_confirmed(&self) -> Result<Sequences, ChaosError> {
        Ok(self.look()?.confirmed())
    }

    /// Whether a message was handled.
    pub(crate) fn has_acknowledged(
        &self,
        producer: Uuid,
        sequence: u64,
    ) -> Result<bool, ChaosError> {
        let books = self.look()?;
        let all = acked(&books.consumers);
        let handled = |acked: &&Sequences| {
            let ranges = acked.get(&producer);
            ranges.is_some_and(|ranges| ranges.contains(sequence))
        };
        Ok(all.iter().any(handled))
    }

    /// What they say together.
    pub(crate) fn ledger(&self) -> Result<Ledger, ChaosError> {
        let books = self.look()?;
        Ok(books.ledger_of(books.confirmed()))
    }

    /// What they say together of these messages.
    pub(crate) fn ledger_of(&self, confirmed: &Sequences) -> Result<Ledger, ChaosError> {
        Ok(self.look()?.ledger_of(confirmed.clone()))
    }

    /// What the consumers have given up.
    pub(crate) fn given_up(&self) -> Result<Sequences, ChaosError> {
        Ok(self.look()?.given_up())
    }

    /// Says that a blow falls now, which explains what is repeated after it.
    pub(crate) fn blow(&self) -> Result<(), ChaosError> {
        let books = &mut *self.look()?;
        books.repetitions.blow(&acked(&books.consumers));
        Ok(())
    }

    /// How many messages a second consumer has handled because of a fault, and how many were handled again although their
    /// consumer knew them, or although no fault explains it.
    pub(crate) fn repeated(&self) -> Result<(u64, u64), ChaosError> {
        let books = &mut *self.look()?;
        let (explained, unexplained) = books.repetitions.judge(&acked(&books.consumers));
        Ok((explained, unexplained + books.acked_twice()))
    }

    fn look(&self) -> Result<MutexGuard<'_, Books>, ChaosError> {
        let mut books = lock(&self.books);
        books.look()?;
        Ok(books)
    }
}

impl Drop for Journals {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

fn lock(books: &Mutex<Books>) -> MutexGuard<'_, Books> {
    books.lock().unwrap_or_else(PoisonError::into_inner)
}
