//! Archives whose bytes depend on names, contents and executable bits alone.

pub(crate) mod unpack;

use std::{
    io::{self, Read, Write},
    path::Path,
};

use flate2::{Compression, GzBuilder, write::GzEncoder};
use tar::{Builder, EntryType, Header};

use crate::{Digest, Hasher};

/// RFC 1952: the operating system is unknown. The number of the packing system would be in the digest otherwise.
const UNKNOWN_SYSTEM: u8 = 255;

/// The packing of another level has another digest. The encoder is miniz_oxide; another one, which a feature of flate2
/// would choose for the whole workspace, packs otherwise, too.
const LEVEL: u32 = 6;

/// A compressed tar archive. Entries belong to root (0:0, without names) and were changed at the epoch.
pub(crate) struct ArchiveWriter<W: Write> {
    tar: Builder<Hashed<GzEncoder<W>>>,
}

impl<W: Write> ArchiveWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        let gzip = GzBuilder::new()
            .mtime(0)
            .operating_system(UNKNOWN_SYSTEM)
            .write(out, Compression::new(LEVEL));
        Self {
            tar: Builder::new(Hashed {
                hasher: Hasher::default(),
                out: gzip,
            }),
        }
    }

    /// Adds a directory. The path is relative.
    pub(crate) fn directory(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        let mut header = header(EntryType::Directory, mode, 0);
        // A trailing slash is how tar itself writes directories.
        self.tar
            .append_data(&mut header, path.join(""), io::empty())
    }

    /// Adds a file of exactly `size` bytes. The path is relative.
    pub(crate) fn file(
        &mut self,
        path: &Path,
        mode: u32,
        size: u64,
        content: impl Read,
    ) -> io::Result<()> {
        let mut counted = Counted {
            read: 0,
            content: content.take(size),
        };
        self.tar.append_data(
            &mut header(EntryType::Regular, mode, size),
            path,
            &mut counted,
        )?;
        if counted.read == size {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it became shorter while it was read",
        ))
    }

    /// The end of the archive: what it was written to, and the digest of the archive before compression, which an
    /// image's configuration calls its diff ID.
    pub(crate) fn finish(self) -> io::Result<(W, Digest)> {
        let hashed = self.tar.into_inner()?;
        Ok((hashed.out.finish()?, hashed.hasher.finish()))
    }
}

/// The header of a file in an archive that is not packed with an [`ArchiveWriter`].
pub(crate) fn file_header(path: &str, size: u64) -> io::Result<Header> {
    let mut header = header(EntryType::Regular, 0o644, size);
    header.set_path(path)?;
    header.set_cksum();
    Ok(header)
}

fn header(entry_type: EntryType, mode: u32, size: u64) -> Header {
    // GNU's: a path of more than 100 bytes gets an entry of its own, which Go's and Docker's readers know.
    let mut header = Header::new_gnu();
    header.set_entry_type(entry_type);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

struct Hashed<W> {
    hasher: Hasher,
    out: W,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

struct Counted<R> {
    read: u64,
    content: R,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(bytes)?;
        self.read += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_name_neither_time_nor_system() {
        let mut archive = ArchiveWriter::new(Vec::new());
        archive.directory(Path::new("a"), 0o755).unwrap();
        archive
            .file(Path::new("a/b"), 0o644, 5, &b"hello"[..])
            .unwrap();
        let (bytes, diff_id) = archive.finish().unwrap();
        // RFC 1952: magic, deflate, no flags, no time, no extra flags, unknown system.
        assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&bytes[..])
            .read_to_end(&mut plain)
            .unwrap();
        assert_eq!(Digest::of(&plain), diff_id);
        // A change of the encoder changes every digest: that must not happen unseen.
        assert_eq!(
            Digest::of(&bytes).to_string(),
            "sha256:26b73daaa7ab02f44f00c23469a2580d61b07106f979b42a62c6dba6fcf8d8e5"
        );
    }

    #[test]
    fn a_file_that_shrinks_is_noticed() {
        let mut archive = ArchiveWriter::new(Vec::new());
        let error = archive
            .file(Path::new("a"), 0o644, 6, &b"hello"[..])
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
