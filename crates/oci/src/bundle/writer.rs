//! Writing a bundle: under another name until it is whole.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use crc32fast::Hasher;
use zeekstd::SeekTable;
use zstd::stream::write::Encoder;

use super::{checksums, member};
use crate::{
    Digest, ImageSource, OciError,
    archive::file_header,
    layout::{MARKER, stands_at, sync_directory},
    manifest::{Descriptor, Index, to_json},
};

/// zstd's own default. Layers are compressed already and pass through; another level gives other bytes.
const LEVEL: i32 = 3;

/// The sizes in the table of frames have 32 bits: a bigger member takes several frames.
const FRAME_BYTES: u64 = 1 << 30;

/// What is read, compressed and written at once.
const PIECE_BYTES: usize = 256 << 10;

/// A bundle on its way. Dropped unfinished it leaves nothing.
pub(super) struct BundleWriter {
    target: PathBuf,
    unfinished: PathBuf,
    file: Counted,
    table: SeekTable,
    checksums: Vec<u32>,
}

impl BundleWriter {
    /// Begins the file with the list of its images. Returns it with the list's digest.
    pub(super) fn create(target: &Path, index: &Index) -> Result<(Self, Digest), OciError> {
        if target.is_dir() {
            let error = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(OciError::file("write", target)(error));
        }
        let unfinished = beside(target);
        let file = open(&unfinished)?;
        let mut writer = Self {
            target: target.to_owned(),
            unfinished,
            file: Counted {
                file,
                written: 0,
                hasher: Hasher::new(),
            },
            table: SeekTable::new(),
            checksums: Vec::new(),
        };
        let list = to_json(index)?;
        writer.member("oci-layout", MARKER.len() as u64, MARKER)?;
        writer.member("index.json", list.len() as u64, &list[..])?;
        Ok((writer, Digest::of(&list)))
    }

    /// The name that the file gets.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Adds a blob, checked on the way.
    pub(super) fn blob(
        &mut self,
        source: &dyn ImageSource,
        blob: &Descriptor,
    ) -> Result<(), OciError> {
        let reader = source.reader(blob)?;
        self.member(&member::blob_name(&blob.digest), blob.size, reader)
    }

    /// Adds a small blob.
    pub(super) fn content(&mut self, digest: &Digest, content: &[u8]) -> Result<(), OciError> {
        let name = member::blob_name(digest);
        self.member(&name, content.len() as u64, content)
    }

    /// Ends the file: on disk, under its name.
    pub(super) fn finish(mut self) -> Result<(), OciError> {
        let target = self.target.clone();
        let unfinished = self.unfinished.clone();
        let mut end = || -> io::Result<()> {
            self.frame(&member::END[..], member::END.len() as u64)?;
            self.checksums.push(self.file.checksum());
            self.file.write_all(&checksums::to_frame(&self.checksums))?;
            let mut table = std::mem::take(&mut self.table).into_serializer();
            let mut bytes = vec![0; table.encoded_len()];
            let length = table.write_into(&mut bytes);
            self.file.write_all(&bytes[..length])?;
            self.file.file.sync_all()?;
            fs::rename(&unfinished, &target)
        };
        end().map_err(OciError::file("write", &target))?;
        sync_directory(directory(&target))
    }

    /// Adds a member: its header, its content and what fills its last block.
    fn member(&mut self, name: &str, size: u64, content: impl Read) -> Result<(), OciError> {
        let write = || -> io::Result<()> {
            let header = file_header(name, size)?;
            let filling = member::filling(size);
            let mut left = member::HEADER_BYTES + size + filling;
            let mut member = header
                .as_bytes()
                .chain(content)
                .chain(io::repeat(0).take(filling));
            while left > 0 {
                let bytes = left.min(FRAME_BYTES);
                self.frame(&mut member, bytes)?;
                left -= bytes;
            }
            self.checksums.push(self.file.checksum());
            Ok(())
        };
        write().map_err(|error| match error.downcast() {
            Ok(error) => error,
            Err(error) => OciError::file("write", &self.unfinished)(error),
        })
    }

    /// Compresses exactly as many bytes of the content into a frame.
    fn frame(&mut self, content: impl Read, bytes: u64) -> io::Result<()> {
        let from = self.file.written;
        let mut encoder = Encoder::new(&mut self.file, LEVEL)?;
        encoder.include_checksum(true)?;
        encoder.set_pledged_src_size(Some(bytes))?;
        copy(&mut content.take(bytes), &mut encoder)?;
        encoder.finish()?;
        let frame = |bytes: u64| u32::try_from(bytes).map_err(io::Error::other);
        self.table
            .log_frame(frame(self.file.written - from)?, frame(bytes)?)
            .map_err(io::Error::other)
    }
}

impl Drop for BundleWriter {
    fn drop(&mut self) {
        // After a rename there is nothing, or the file of another writer.
        if stands_at(&self.file.file, &self.unfinished) {
            // Nobody can go on with it, nor be told that it could not be removed.
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

/// An empty file of this writer alone; what a killed one left is overwritten.
fn open(path: &Path) -> Result<File, OciError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(OciError::file("create", path))?;
    match file.try_lock() {
        // Asked under the lock: the writer that had it may have renamed or removed the very file that is open here.
        Ok(()) if stands_at(&file, path) => {}
        Ok(()) | Err(TryLockError::WouldBlock) => {
            return Err(OciError::Busy {
                path: path.to_owned(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(OciError::file("lock", path)(error)),
    }
    file.set_len(0).map_err(OciError::file("write", path))?;
    Ok(file)
}

/// The directory of a file; that of one without is the current one.
fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    }
}

/// Where the file grows: in the same directory, so that the rename cannot fail halfway.
fn beside(target: &Path) -> PathBuf {
    let mut name = OsString::from(".unfinished-");
    name.push(target.file_name().unwrap_or_default());
    target.with_file_name(name)
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&piece[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A file, how much was written to it, and the checksum of what was written of the member.
struct Counted {
    file: File,
    written: u64,
    hasher: Hasher,
}

impl Counted {
    fn checksum(&mut self) -> u32 {
        std::mem::take(&mut self.hasher).finalize()
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
