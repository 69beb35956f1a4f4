//! Carries a process's output into its CRI log and remembers its last words.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    task::JoinHandle,
};

use crate::cri::{CONTINUATION_BYTES, CriLog, Stream, Text, is_continuation};

/// What is held of a line; a process that writes longer ones has them in its log all the same, part by part.
const HELD_BYTES: u64 = 1 << 20;

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
    failed: impl Fn(io::Error) + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut pipe = BufReader::new(pipe);
        let mut held = Vec::new();
        // A pipe that cannot be read is one that has ended.
        while let Ok(Some(text)) = next(&mut pipe, &mut held).await {
            let (Text::End(bytes) | Text::Part(bytes)) = text;
            last_words.set(bytes);
            if let Err(error) = log.write(stream, text) {
                failed(error);
            }
        }
    })
}

/// Reads a line, or the part of it that is held; nothing at the end of the stream.
async fn next<'a>(
    pipe: &mut (impl AsyncBufRead + Unpin),
    held: &'a mut Vec<u8>,
) -> io::Result<Option<Text<'a>>> {
    held.clear();
    let mut line = (&mut *pipe).take(HELD_BYTES);
    if line.read_until(b'\n', held).await? == 0 {
        return Ok(None);
    }
    if held.last() == Some(&b'\n') {
        held.pop();
        return Ok(Some(Text::End(held)));
    }
    for _ in 0..CONTINUATION_BYTES {
        match pipe.fill_buf().await?.first() {
            Some(&byte) if is_continuation(byte) => held.push(byte),
            _ => break,
        }
        pipe.consume(1);
    }
    Ok(Some(if pipe.fill_buf().await?.is_empty() {
        Text::End(held)
    } else {
        Text::Part(held)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a stream: each text, and whether its line ends with it.
    async fn read(mut stream: &[u8]) -> Vec<(Vec<u8>, bool)> {
        let (mut texts, mut held) = (Vec::new(), Vec::new());
        while let Some(text) = next(&mut stream, &mut held).await.unwrap() {
            texts.push(match text {
                Text::End(bytes) => (bytes.to_vec(), true),
                Text::Part(bytes) => (bytes.to_vec(), false),
            });
        }
        texts
    }

    #[tokio::test]
    async fn lines_are_read_and_the_last_one_needs_no_end() {
        let line = |text: &str| (text.as_bytes().to_vec(), true);
        assert_eq!(read(b"").await, []);
        assert_eq!(read(b"a\n\nb\n").await, ["a", "", "b"].map(line));
        assert_eq!(read(b"a\nb").await, ["a", "b"].map(line));
    }

    #[tokio::test]
    async fn a_line_without_end_is_held_in_parts_that_are_whole_characters() {
        // Three-byte characters do not divide a MiB.
        let line = "€".repeat(1_000_000);
        for end in ["", "\n", "\nnext\n"] {
            let mut texts = read(format!("{line}{end}").as_bytes()).await;
            if end == "\nnext\n" {
                assert_eq!(texts.pop(), Some((b"next".to_vec(), true)));
            }
            let ends: Vec<bool> = texts.iter().map(|(_, ends)| *ends).collect();
            assert_eq!(ends, [false, false, true]);
            let mut joined = String::new();
            for (part, _) in texts {
                assert!(part.len() as u64 <= HELD_BYTES + CONTINUATION_BYTES as u64);
                joined.push_str(std::str::from_utf8(&part).unwrap());
            }
            assert_eq!(joined, line);
        }
    }

    #[tokio::test]
    async fn bytes_that_are_no_characters_are_held_in_parts_as_well() {
        let line = vec![0b1000_0000; 3 << 20];
        let texts = read(&line).await;
        assert!(texts.len() >= 3);
        let joined: Vec<u8> = texts.into_iter().flat_map(|(part, _)| part).collect();
        assert_eq!(joined, line);
    }

    #[tokio::test]
    async fn a_line_as_long_as_what_is_held_ends() {
        let held = vec![b'x'; 1 << 20];
        let stream = [&held[..], b"\nnext\n"].concat();
        let expected = [(held, false), (Vec::new(), true), (b"next".to_vec(), true)];
        assert_eq!(read(&stream).await, expected);
    }
}
