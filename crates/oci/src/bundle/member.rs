//! The members of a bundle's archive: what stands before and after a content (POSIX `ustar`).

use crate::Digest;

/// What precedes a content.
pub(super) const HEADER_BYTES: u64 = BLOCK_BYTES;

/// Two empty blocks end an archive.
pub(super) const END: [u8; 2 * BLOCK_BYTES as usize] = [0; 2 * BLOCK_BYTES as usize];

const BLOCK_BYTES: u64 = 512;

const BLOBS: &str = "blobs/sha256/";

/// How many zeros fill the last block of a content.
pub(super) fn filling(size: u64) -> u64 {
    size.next_multiple_of(BLOCK_BYTES) - size
}

pub(super) fn blob_name(digest: &Digest) -> String {
    format!("{BLOBS}{}", digest.hex())
}

/// The digest of the blob that a member of this name is.
pub(super) fn blob_digest(name: &str) -> Option<Digest> {
    format!("sha256:{}", name.strip_prefix(BLOBS)?).parse().ok()
}
