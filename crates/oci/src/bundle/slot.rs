//! A member's place in a bundle's file: filled from the front, and taken up where an earlier run stopped.

use std::{io, os::unix::fs::FileExt as _, sync::Arc};

use super::{blocks::Blocks, member::HEADER_BYTES, plan::Place, unfinished::Unfinished};
use crate::{Hasher, OciError, archive::file_header, registry::Sink};

/// A member on its way into the file. What makes a block is written at once, so that whoever is killed loses one.
pub(super) struct Slot {
    file: Arc<Unfinished>,
    place: Place,
    blocks: Blocks,
    header: Vec<u8>,
    state: State,
}

/// How far it has come.
#[derive(Clone)]
struct State {
    /// Of the content, the begun block included.
    content: Hasher,
    /// Of what stands in the file.
    stored: crc32fast::Hasher,
    /// Header and content, the begun block included.
    bytes: u64,
    /// The number of the begun block.
    block: u64,
    /// The begun block, with its head.
    begun: Vec<u8>,
}

impl Slot {
    /// An empty one, whatever stands there in the file.
    ///
    /// # Errors
    /// [`OciError::File`].
    pub(super) fn empty(file: Arc<Unfinished>, place: Place) -> Result<Self, OciError> {
        let mut slot = Self::new(file, place)?;
        slot.begin()?;
        Ok(slot)
    }

    /// One that goes on from what an earlier run has left there.
    ///
    /// # Errors
    /// [`OciError::File`].
    pub(super) fn taken_up(file: Arc<Unfinished>, place: Place) -> Result<Self, OciError> {
        let mut slot = Self::new(file, place)?;
        slot.take_up()
            .map_err(OciError::file("read", slot.file.path()))?;
        if slot.state.bytes == 0 {
            slot.begin()?;
        }
        Ok(slot)
    }

    fn new(file: Arc<Unfinished>, place: Place) -> Result<Self, OciError> {
        let header =
            file_header(&place.name, place.size).map_err(OciError::file("write", file.path()))?;
        let blocks = place.blocks();
        Ok(Self {
            file,
            place,
            blocks,
            header: header.as_bytes().to_vec(),
            state: State::of(blocks),
        })
    }

    /// Fills the last block. Returns the checksum of what stands in the file.
    ///
    /// # Errors
    /// [`OciError::Malformed`] where something lacks; [`OciError::Mismatch`] where it is another content, which no later run
    /// goes on with; both of `what`. [`OciError::File`].
    pub(super) fn finish(mut self, what: &str) -> Result<u32, OciError> {
        if self.written() < self.place.size {
            return Err(OciError::malformed(
                what,
                format!(
                    "it ends after {} of {} bytes",
                    self.written(),
                    self.place.size
                ),
            ));
        }
        let found = self.state.content.clone().finish();
        if found != self.place.digest {
            self.forget()?;
            return Err(OciError::Mismatch {
                what: what.to_owned(),
                expected: self.place.digest,
                found,
            });
        }
        while self.state.bytes < self.blocks.bytes() {
            self.append(&[0])?;
        }
        Ok(self.state.stored.finalize())
    }

    fn begin(&mut self) -> Result<(), OciError> {
        let header = self.header.clone();
        self.append(&header)
    }

    /// Makes the file's place look as if nothing had come.
    fn forget(&self) -> Result<(), OciError> {
        let head = self.blocks.head(0);
        self.file.write_at(&vec![0; head.len()], self.place.at)
    }

    fn append(&mut self, mut bytes: &[u8]) -> Result<(), OciError> {
        while !bytes.is_empty() {
            let left = self.blocks.content(self.state.block).end - self.state.bytes;
            let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let (now, later) = bytes.split_at(taken);
            self.state.begun.extend_from_slice(now);
            self.state.bytes += taken as u64;
            if taken as u64 == left {
                self.file.write_at(&self.state.begun, self.begins_at())?;
                self.state.end_block(self.blocks);
            }
            bytes = later;
        }
        Ok(())
    }

    /// Where the begun block stands in the file.
    fn begins_at(&self) -> u64 {
        self.place.at + self.blocks.offset(self.state.block)
    }

    /// Reads the blocks that are there. The last of them may have been cut off in its middle: it counts only where with it
    /// the content is the right one.
    fn take_up(&mut self) -> io::Result<()> {
        let mut without_last = self.state.clone();
        while self.state.block < self.blocks.count() {
            let before = self.state.clone();
            if !self.read_block()? {
                self.state = without_last;
                return Ok(());
            }
            without_last = before;
        }
        if self.state.content.clone().finish() != self.place.digest {
            self.state = without_last;
        }
        Ok(())
    }

    /// Reads the next block. False where something else stands: then the state is of no use.
    fn read_block(&mut self) -> io::Result<bool> {
        let at = self.begins_at();
        let range = self.blocks.content(self.state.block);
        let State { content, begun, .. } = &mut self.state;
        let head = begun.clone();
        let usize_of = |bytes: u64| usize::try_from(bytes).map_err(io::Error::other);
        begun.resize(head.len() + usize_of(range.end - range.start)?, 0);
        self.file.file().read_exact_at(begun, at)?;
        let (found, bytes) = begun.split_at(head.len());
        let in_block =
            |position: u64| usize_of(position.clamp(range.start, range.end) - range.start);
        let (header, rest) = bytes.split_at(in_block(HEADER_BYTES)?);
        let (piece, filling) =
            rest.split_at(in_block(HEADER_BYTES + self.place.size)? - header.len());
        let is_there = found == head
            && header == &self.header[..header.len()]
            && filling.iter().all(|byte| *byte == 0);
        content.update(piece);
        self.state.bytes = range.end;
        self.state.end_block(self.blocks);
        Ok(is_there)
    }
}

impl State {
    fn of(blocks: Blocks) -> Self {
        Self {
            content: Hasher::default(),
            stored: crc32fast::Hasher::new(),
            bytes: 0,
            block: 0,
            begun: blocks.head(0),
        }
    }

    fn end_block(&mut self, blocks: Blocks) {
        self.stored.update(&self.begun);
        self.begun.clear();
        self.block += 1;
        if self.block < blocks.count() {
            self.begun.extend(blocks.head(self.block));
        }
    }
}

impl Sink for Slot {
    fn written(&self) -> u64 {
        self.state
            .bytes
            .saturating_sub(HEADER_BYTES)
            .min(self.place.size)
    }

    fn restart(&mut self) -> Result<(), OciError> {
        self.forget()?;
        self.state = State::of(self.blocks);
        self.begin()
    }

    fn push(&mut self, piece: &[u8]) -> Result<(), OciError> {
        self.state.content.update(piece);
        self.append(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Digest, bundle::plan::Plan};

    /// Three blocks and a bit, not a multiple of the archive's blocks.
    const SIZE: usize = (3 << 17) + 700;

    struct Bench {
        _directory: tempfile::TempDir,
        file: Arc<Unfinished>,
        place: Place,
        content: Vec<u8>,
    }

    impl Bench {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let content: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
            let mut plan = Plan::default();
            plan.add("index.json", Digest::of(b""), 0);
            let place = plan.add("oci-layout", Digest::of(&content), SIZE as u64);
            plan.add("index.json", Digest::of(b""), 0);
            let file = Unfinished::open(&directory.path().join("b"), plan.end()).unwrap();
            Self {
                file: Arc::new(file),
                place,
                content,
                _directory: directory,
            }
        }

        fn empty(&self) -> Slot {
            Slot::empty(Arc::clone(&self.file), self.place.clone()).unwrap()
        }

        fn taken_up(&self) -> Slot {
            Slot::taken_up(Arc::clone(&self.file), self.place.clone()).unwrap()
        }

        /// What stands in the file.
        fn stored(&self) -> Vec<u8> {
            let size = usize::try_from(self.place.blocks().stored_bytes()).unwrap();
            let mut stored = vec![0; size];
            self.file
                .file()
                .read_exact_at(&mut stored, self.place.at)
                .unwrap();
            stored
        }

        /// Pushes the rest and demands that it is the member.
        fn completes(&self, mut slot: Slot) {
            let from = usize::try_from(slot.written()).unwrap();
            slot.push(&self.content[from..]).unwrap();
            let checksum = slot.finish("it").unwrap();
            let stored = self.stored();
            assert_eq!(checksum, crc32fast::hash(&stored));
            let plain = zstd::stream::decode_all(&stored[..]).unwrap();
            assert_eq!(plain.len() % 512, 0);
            assert!(plain[512..][..SIZE] == self.content[..]);
            assert!(plain[512 + SIZE..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn what_is_there_is_gone_on_with_without_the_last_block() {
        let bench = Bench::new();
        assert_eq!(bench.taken_up().written(), 0);
        for (pushed, kept) in [
            (1, 0),
            (130_000, 0),
            (140_000, 0),
            (270_000, (1 << 17) - 512),
        ] {
            let mut slot = bench.empty();
            slot.push(&bench.content[..pushed]).unwrap();
            drop(slot);
            assert_eq!(bench.taken_up().written(), kept, "{pushed}");
        }
        bench.completes(bench.taken_up());
        let whole = bench.taken_up();
        assert_eq!(whole.written(), SIZE as u64);
        bench.completes(whole);
    }

    #[test]
    fn a_last_block_that_was_cut_off_comes_again() {
        let bench = Bench::new();
        bench.completes(bench.empty());
        let size = bench.place.blocks().stored_bytes();
        bench
            .file
            .write_at(&[0; 100], bench.place.at + size - 600)
            .unwrap();
        let slot = bench.taken_up();
        assert_eq!(slot.written(), (3 << 17) - 512);
        bench.completes(slot);
    }

    #[test]
    fn a_hole_in_the_middle_is_found_at_the_end_and_forgotten() {
        let bench = Bench::new();
        bench.completes(bench.empty());
        bench
            .file
            .write_at(&[9; 10], bench.place.at + 1000)
            .unwrap();
        let mut slot = bench.taken_up();
        let from = usize::try_from(slot.written()).unwrap();
        slot.push(&bench.content[from..]).unwrap();
        let error = slot.finish("it").unwrap_err();
        assert!(matches!(error, OciError::Mismatch { .. }), "{error}");
        let slot = bench.taken_up();
        assert_eq!(slot.written(), 0);
        bench.completes(slot);
    }

    #[test]
    fn what_another_member_left_is_not_taken_up() {
        let bench = Bench::new();
        bench.completes(bench.empty());
        let other = Place {
            size: bench.place.size - 1,
            ..bench.place.clone()
        };
        let slot = Slot::taken_up(Arc::clone(&bench.file), other).unwrap();
        assert_eq!(slot.written(), 0);
    }

    #[test]
    fn what_lacks_something_is_no_member() {
        let bench = Bench::new();
        let mut slot = bench.empty();
        slot.push(&bench.content[1..]).unwrap();
        let error = slot.finish("it").unwrap_err().to_string();
        assert!(error.contains("it ends after"), "{error}");
    }

    #[test]
    fn a_restart_begins_from_the_front() {
        let bench = Bench::new();
        let mut slot = bench.empty();
        slot.push(&[1; 200_000]).unwrap();
        slot.restart().unwrap();
        assert_eq!(bench.taken_up().written(), 0);
        assert_eq!(slot.written(), 0);
        bench.completes(slot);
    }
}
