//! The members of a bundle's archive: what stands before and after a content (POSIX `ustar`).

use std::{io, path::Path};

use tar::{EntryType, Header};

use crate::Digest;

/// What precedes a content.
pub(super) const HEADER_BYTES: u64 = BLOCK_BYTES;

/// Two empty blocks end an archive.
pub(super) const END: [u8; 2 * BLOCK_BYTES as usize] = [0; 2 * BLOCK_BYTES as usize];

const BLOCK_BYTES: u64 = 512;

const BLOBS: &str = "blobs/sha256/";

/// The one header that a member of this name and size has.
pub(super) fn header(name: &str, size: u64) -> io::Result<Header> {
    // GNU's, which has room for sizes of 8 GiB and more.
    let mut header = Header::new_gnu();
    header.set_path(Path::new(name))?;
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}

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
