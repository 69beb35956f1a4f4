//! CRC-32 of each member's compressed bytes, in a frame of their own that zstd skips (RFC 8878, 3.1.2).
//!
//! Digests hold what is decompressed; some bits of what is compressed mean nothing to a decoder, and a file in which one of
//! them has changed is damaged all the same.

use std::io::{self, Read};

use crc32fast::Hasher;

/// One of the sixteen magic numbers of frames to be skipped; the table of frames has another of them.
const MAGIC: u32 = 0x184d_2a50;

/// The size of the frame for this many members, in bytes.
pub(super) fn frame_bytes(members: usize) -> u64 {
    8 + 4 * members as u64
}

pub(super) fn to_frame(checksums: &[u32]) -> Vec<u8> {
    let length = u32::try_from(4 * checksums.len()).unwrap_or(u32::MAX);
    let words = [MAGIC, length].into_iter().chain(checksums.iter().copied());
    words.flat_map(u32::to_le_bytes).collect()
}

/// The checksums of a frame; `None` where it is another one.
pub(super) fn from_frame(frame: &[u8]) -> Option<Vec<u32>> {
    let words = frame.chunks_exact(4);
    if !words.remainder().is_empty() {
        return None;
    }
    let words = words.map(|word| {
        word.iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u32::from(*byte))
    });
    let mut words: Vec<u32> = words.collect();
    let checksums = words.split_off(words.len().min(2));
    let head = [MAGIC, u32::try_from(4 * checksums.len()).ok()?];
    (words == head).then_some(checksums)
}

/// Computes the checksum of what is read through it.
pub(super) struct Checked<R> {
    content: R,
    hasher: Hasher,
}

impl<R: Read> Checked<R> {
    pub(super) fn new(content: R) -> Self {
        Self {
            content,
            hasher: Hasher::new(),
        }
    }

    pub(super) fn checksum(&self) -> u32 {
        self.hasher.clone().finalize()
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
