//! The way of log lines to standard output: a bounded buffer in memory and one thread that empties it.
//!
//! Whoever logs copies a line into the buffer and goes on; it never waits for the reader of standard output, which may be
//! a stopped supervisor. The thread writes all that has gathered with one call. A full buffer drops lines and says how
//! many, because the service's work (and its ledger, the journal) is worth more than its log. At the end `flush` waits
//! until everything is written, so that a graceful stop loses nothing; a killed process loses at most the lines that the
//! thread had not yet got to.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::line;

/// Some ten thousand lines: seconds of a storm, and little beside the service's own memory.
const MAX_PENDING_BYTES: usize = 4 * 1024 * 1024;

/// What a buffer may keep for the next batch once it is written.
const KEPT_BYTES: usize = 64 * 1024;

/// The sending side, and the one to flush.
#[derive(Clone)]
pub struct LogQueue {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    pending: Vec<u8>,
    dropped: u64,
    writing: bool,
}

impl LogQueue {
    /// The thread's name.
    pub const THREAD: &str = "log-writer";

    /// Starts the thread that writes to `out`. It lives as long as the process.
    pub fn spawn(out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let queue = Self {
            shared: Arc::clone(&shared),
        };
        thread::Builder::new()
            .name(Self::THREAD.to_owned())
            .spawn(move || shared.write_to(out))?;
        Ok(queue)
    }

    /// Queues one line, or drops it when there is no room.
    pub fn push(&self, line: &[u8]) {
        let mut state = self.shared.lock();
        if state.pending.len() + line.len() > MAX_PENDING_BYTES {
            state.dropped += 1;
        } else {
            state.pending.extend_from_slice(line);
        }
        drop(state);
        self.shared.filled.notify_one();
    }

    /// Waits up to `bound` until all lines pushed so far are written.
    pub fn flush(&self, bound: Duration) {
        let state = self.shared.lock();
        // Whether it was in time or not: nobody is left to tell.
        let _ = self
            .shared
            .emptied
            .wait_timeout_while(state, bound, |state| state.writing || state.has_work());
    }
}

impl Shared {
    fn write_to(&self, mut out: impl Write) {
        let mut batch = Vec::new();
        loop {
            let dropped = self.next_batch(&mut batch);
            if dropped > 0 {
                batch.extend_from_slice(&line::format_dropped(dropped));
            }
            // With standard output gone there is no place left for the error.
            let _ = out.write_all(&batch).and_then(|()| out.flush());
            batch.clear();
            batch.shrink_to(KEPT_BYTES);
        }
    }

    /// Waits for work, takes all of it and returns how many lines were dropped.
    fn next_batch(&self, batch: &mut Vec<u8>) -> u64 {
        let mut state = self.lock();
        state.writing = false;
        if !state.has_work() {
            self.emptied.notify_all();
        }
        let mut state = self
            .filled
            .wait_while(state, |state| !state.has_work())
            .unwrap_or_else(PoisonError::into_inner);
        state.writing = true;
        mem::swap(&mut state.pending, batch);
        mem::take(&mut state.dropped)
    }

    /// No code that can panic runs under the lock, so a poisoned one still holds whole lines.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_work(&self) -> bool {
        !self.pending.is_empty() || self.dropped > 0
    }
}
