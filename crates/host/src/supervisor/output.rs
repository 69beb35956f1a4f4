//! Carries a process's output into its CRI log and remembers its last words.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    task::JoinHandle,
};

use crate::cri::{CriLog, Stream};

/// An error and its hint are two lines.
const KEPT: usize = 2;

/// The last lines that a process wrote, for the report of why it ended.
#[derive(Clone, Debug, Default)]
pub(super) struct LastWords(Arc<Mutex<VecDeque<String>>>);

impl LastWords {
    pub(super) fn get(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect::<Vec<_>>().join("; ")
    }

    fn set(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line).trim().to_owned();
        if line.is_empty() {
            return;
        }
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// Reads a stream to its end. A log that cannot be written does not stop the reading, because a process whose output
/// nobody reads blocks; `failed` hears of it.
pub(super) fn carry(
    pipe: impl AsyncRead + Unpin + Send + 'static,
    stream: Stream,
    log: Arc<CriLog>,
    last_words: LastWords,
    failed: impl Fn(std::io::Error) + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        loop {
            line.clear();
            match pipe.read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            last_words.set(&line);
            if let Err(error) = log.write(stream, &line) {
                failed(error);
            }
        }
    })
}
