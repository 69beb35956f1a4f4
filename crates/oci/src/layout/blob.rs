//! Blobs of a layout on their way into it: written to an unfinished file first.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{Digest, Hasher, OciError};

/// A blob that is being written. It becomes part of the layout with [`BlobWriter::finish`] and not before.
///
/// With a known digest it is resumable: dropped unfinished it stays, and the next writer goes on from
/// [`BlobWriter::written`]. One that is made up on the way is removed.
#[derive(Debug)]
pub struct BlobWriter {
    blobs: PathBuf,
    unfinished: PathBuf,
    file: File,
    hasher: Hasher,
    written: u64,
    expected: Option<(Digest, u64)>,
}

impl BlobWriter {
    /// A blob whose digest is not known.
    pub(super) fn unknown(root: &Path, blobs: PathBuf) -> Result<Self, OciError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let unfinished = root.join(format!(".unfinished-new-{}-{number}", process::id()));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&unfinished)
            .map_err(OciError::file("create", &unfinished))?;
        Ok(Self {
            blobs,
            unfinished,
            file,
            hasher: Hasher::default(),
            written: 0,
            expected: None,
        })
    }

    /// A blob whose digest and size are known, after what an earlier writer left of it; `None` if it is there.
    pub(super) fn known(
        root: &Path,
        blobs: PathBuf,
        digest: Digest,
        size: u64,
    ) -> Result<Option<Self>, OciError> {
        let unfinished = root.join(format!(".unfinished-{}", digest.hex()));
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&unfinished)
            .map_err(OciError::file("create", &unfinished))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OciError::Busy { path: unfinished }),
            Err(TryLockError::Error(error)) => {
                return Err(OciError::file("lock", unfinished)(error));
            }
        }
        // Asked under the lock: another writer may have renamed the very file that is open here.
        if blobs.join(digest.hex()).exists() {
            if !stands_at(&file, &blobs.join(digest.hex())) {
                fs::remove_file(&unfinished).map_err(OciError::file("remove", &unfinished))?;
            }
            return Ok(None);
        }
        let mut writer = Self {
            blobs,
            unfinished,
            file,
            hasher: Hasher::default(),
            written: 0,
            expected: Some((digest, size)),
        };
        writer
            .take_up()
            .map_err(OciError::file("read", &writer.unfinished))?;
        if writer.written > size {
            writer.restart()?;
        }
        Ok(Some(writer))
    }

    /// How many bytes are there: where to go on.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Forgets what is there, for a source that cannot go on from the middle.
    ///
    /// # Errors
    /// [`OciError::File`].
    pub fn restart(&mut self) -> Result<(), OciError> {
        self.file
            .set_len(0)
            .map_err(OciError::file("write", &self.unfinished))?;
        self.hasher = Hasher::default();
        self.written = 0;
        Ok(())
    }

    /// Removes what is there, for a source that gives something else.
    ///
    /// # Errors
    /// [`OciError::File`].
    pub fn discard(self) -> Result<(), OciError> {
        fs::remove_file(&self.unfinished).map_err(OciError::file("remove", &self.unfinished))
    }

    /// Takes the next piece, as [`Write::write_all`], with the file's name in the error.
    ///
    /// # Errors
    /// [`OciError::File`], with [`io::ErrorKind::StorageFull`] where the disk is full.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), OciError> {
        self.write_all(bytes)
            .map_err(OciError::file("write", &self.unfinished))
    }

    /// Makes it part of the layout: checked, under its name. Returns its digest and its size in bytes.
    ///
    /// # Errors
    /// [`OciError::Mismatch`] and [`OciError::Malformed`] where it is not the blob that was announced, which removes it;
    /// [`OciError::File`].
    pub fn finish(mut self, what: &str) -> Result<(Digest, u64), OciError> {
        let found = std::mem::take(&mut self.hasher).finish();
        if let Some((expected, size)) = self.expected {
            let fault = if self.written < size {
                // Not removed: the rest may come yet.
                return Err(OciError::malformed(
                    what,
                    format!("it ends after {} of {size} bytes", self.written),
                ));
            } else if self.written > size {
                Some(OciError::malformed(
                    what,
                    format!("it is longer than its {size} bytes"),
                ))
            } else if found != expected {
                Some(OciError::Mismatch {
                    what: what.to_owned(),
                    expected,
                    found,
                })
            } else {
                None
            };
            if let Some(fault) = fault {
                fs::remove_file(&self.unfinished)
                    .map_err(OciError::file("remove", &self.unfinished))?;
                return Err(fault);
            }
        }
        // Not synced: what a power cut leaves of it has another digest, which is seen when it is read, and gigabytes of layers
        // would wait for the disk twice on their way into a bundle.
        let target = self.blobs.join(found.hex());
        fs::rename(&self.unfinished, &target).map_err(OciError::file("create", &target))?;
        // The name is free: nothing is left for `drop`.
        self.expected = Some((found, self.written));
        Ok((found, self.written))
    }

    /// Digests what an earlier writer left.
    fn take_up(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = self.file.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            self.hasher.update(&buffer[..read]);
            self.written += read as u64;
        }
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if self.expected.is_none() {
            // Nobody can go on with it, and there is nobody to tell that it could not be removed.
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}

/// Whether the open file stands at `path`.
pub(crate) fn stands_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), path.metadata()) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// Makes a rename in `directory` outlast a power cut.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), OciError> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(OciError::file("write", directory))
}
