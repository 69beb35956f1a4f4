//! What of a member stands where in the file: zstd frames whose blocks are stored as they are (RFC 8878, 3.1.1.2.2).
//!
//! Layers are compressed already. As they are, their place in the file is known before they come, so that several can be
//! written at once, and no version of zstd has a say in the bytes.

use std::ops::Range;

/// The largest block that the format allows.
const BLOCK_BYTES: u64 = 128 << 10;

/// The sizes in the table of frames have 32 bits: a bigger member takes several frames.
const FRAME_BLOCKS: u64 = (1 << 30) / BLOCK_BYTES;

const FRAME_HEAD_BYTES: u64 = 10;

const BLOCK_HEAD_BYTES: u64 = 3;

/// A magic number, the size of the content in four bytes, no checksum; a window of one block.
const FRAME_HEAD: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0x80, 0x38];

/// The blocks of so many bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocks {
    bytes: u64,
}

impl Blocks {
    pub(super) fn of(bytes: u64) -> Self {
        Self { bytes }
    }

    pub(super) fn bytes(self) -> u64 {
        self.bytes
    }

    pub(super) fn count(self) -> u64 {
        self.bytes.div_ceil(BLOCK_BYTES)
    }

    /// How many bytes of the file they take.
    pub(super) fn stored_bytes(self) -> u64 {
        let frames = self.count().div_ceil(FRAME_BLOCKS);
        self.bytes + frames * FRAME_HEAD_BYTES + self.count() * BLOCK_HEAD_BYTES
    }

    /// Where a block begins, its head included, seen from the beginning of the first.
    pub(super) fn offset(self, block: u64) -> u64 {
        let frames = block.div_ceil(FRAME_BLOCKS);
        block * (BLOCK_BYTES + BLOCK_HEAD_BYTES) + frames * FRAME_HEAD_BYTES
    }

    /// The content of a block, as a part of the whole.
    pub(super) fn content(self, block: u64) -> Range<u64> {
        let start = block * BLOCK_BYTES;
        start..self.bytes.min(start + BLOCK_BYTES)
    }

    /// What precedes the content of a block: its header, and that of the frame where it is the frame's first.
    pub(super) fn head(self, block: u64) -> Vec<u8> {
        let mut head = Vec::new();
        if block.is_multiple_of(FRAME_BLOCKS) {
            head.extend(FRAME_HEAD);
            head.extend(&self.frame_bytes(block / FRAME_BLOCKS).to_le_bytes()[..4]);
        }
        let content = self.content(block);
        let is_last = (block + 1).is_multiple_of(FRAME_BLOCKS) || block + 1 == self.count();
        let header = (content.end - content.start) << 3 | u64::from(is_last);
        head.extend(&header.to_le_bytes()[..3]);
        head
    }

    /// The bytes of each frame: in the file, and of its content.
    pub(super) fn frames(self) -> impl Iterator<Item = (u64, u64)> {
        let frames = self.count().div_ceil(FRAME_BLOCKS);
        (0..frames).map(move |frame| {
            let content = self.frame_bytes(frame);
            (Self::of(content).stored_bytes(), content)
        })
    }

    /// The size of a frame's content.
    fn frame_bytes(self, frame: u64) -> u64 {
        let most = FRAME_BLOCKS * BLOCK_BYTES;
        most.min(self.bytes - frame * most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(content: &[u8]) -> Vec<u8> {
        let blocks = Blocks::of(content.len() as u64);
        let mut stored = Vec::new();
        for block in 0..blocks.count() {
            assert_eq!(stored.len() as u64, blocks.offset(block));
            stored.extend(blocks.head(block));
            let content = blocks.content(block).map(|at| content[at as usize]);
            stored.extend(content);
        }
        assert_eq!(stored.len() as u64, blocks.stored_bytes());
        stored
    }

    #[test]
    fn zstd_reads_what_is_stored() {
        for length in [1, 512, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1] {
            let content = vec![7; usize::try_from(length).unwrap()];
            let stored = stored(&content);
            assert!(zstd::stream::decode_all(&stored[..]).unwrap() == content);
        }
    }

    #[test]
    fn a_content_of_several_frames_is_cut_where_they_end() {
        let frame = FRAME_BLOCKS * BLOCK_BYTES;
        let blocks = Blocks::of(2 * frame + 1);
        let contents = blocks.frames().map(|(_, content)| content);
        assert_eq!(contents.collect::<Vec<_>>(), [frame, frame, 1]);
        let mut at = 0;
        for (number, (stored, content)) in blocks.frames().enumerate() {
            assert_eq!(stored, Blocks::of(content).stored_bytes());
            let first = number as u64 * FRAME_BLOCKS;
            // The head of the frame before the block's own.
            assert_eq!(blocks.offset(first), at);
            assert_eq!(blocks.head(first)[..4], FRAME_HEAD[..4]);
            at += stored;
        }
        assert_eq!(at, blocks.stored_bytes());
        // The last block of a frame says so.
        assert_eq!(blocks.head(FRAME_BLOCKS - 1), [1, 0, 0x10]);
        assert_eq!(blocks.head(FRAME_BLOCKS - 2), [0, 0, 0x10]);
    }
}
