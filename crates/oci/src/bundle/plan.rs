//! Where everything of a bundle stands in its file. It follows from names and sizes: no content has to be there yet.

use zeekstd::SeekTable;

use super::{
    blocks::Blocks,
    checksums,
    member::{self, HEADER_BYTES},
};
use crate::{Digest, OciError};

/// A member: what it is to be, and where its first frame begins.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) digest: Digest,
    /// Of the content, in bytes.
    pub(super) size: u64,
    pub(super) at: u64,
}

impl Place {
    /// The blocks of the archive's header, the content and what fills up the archive's last block.
    pub(super) fn blocks(&self) -> Blocks {
        Blocks::of(HEADER_BYTES + self.size + member::filling(self.size))
    }
}

/// The members in the order in which they stand.
#[derive(Debug, Default)]
pub(super) struct Plan {
    members: Vec<Blocks>,
    end: u64,
}

impl Plan {
    /// Gives a member the next place.
    pub(super) fn add(&mut self, name: impl Into<String>, digest: Digest, size: u64) -> Place {
        let place = Place {
            name: name.into(),
            digest,
            size,
            at: self.end,
        };
        self.members.push(place.blocks());
        self.end += place.blocks().stored_bytes();
        place
    }

    /// Where the last member ends, and what [`Plan::ending`] gives begins.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// What follows the members: the end of the archive, the checksum of each member, and the table of frames.
    ///
    /// # Errors
    /// [`OciError::Malformed`] where there are more frames than a table can have.
    pub(super) fn ending(&self, mut checksums: Vec<u32>) -> Result<Vec<u8>, OciError> {
        let end = Blocks::of(member::END.len() as u64);
        let mut ending = end.head(0);
        ending.extend(member::END);
        checksums.push(crc32fast::hash(&ending));
        ending.extend(checksums::to_frame(&checksums));
        let table = self.table(end);
        let table = table.map_err(|error| OciError::malformed("the table of frames", error))?;
        let mut table = table.into_serializer();
        let mut bytes = vec![0; table.encoded_len()];
        let length = table.write_into(&mut bytes);
        ending.extend(&bytes[..length]);
        Ok(ending)
    }

    fn table(&self, end: Blocks) -> Result<SeekTable, Box<dyn std::error::Error>> {
        let mut table = SeekTable::new();
        for (stored, content) in self.members.iter().chain([&end]).flat_map(|of| of.frames()) {
            table.log_frame(stored.try_into()?, content.try_into()?)?;
        }
        Ok(table)
    }
}
