//! The file of a bundle that is being made: under another name until it is whole, and kept for the next run if it never is.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use crate::{
    OciError,
    layout::{stands_at, sync_directory},
};

/// A file that this run alone writes.
#[derive(Debug)]
pub(super) struct Unfinished {
    target: PathBuf,
    path: PathBuf,
    file: File,
    members_end: u64,
}

impl Unfinished {
    /// Opens it beside `target`, with what an earlier run has left there of the members, which end at `members_end`.
    ///
    /// # Errors
    /// [`OciError::Busy`] where another run writes it; [`OciError::File`].
    pub(super) fn open(target: &Path, members_end: u64) -> Result<Self, OciError> {
        if target.is_dir() {
            let error = io::Error::from(io::ErrorKind::IsADirectory);
            return Err(OciError::file("write", target)(error));
        }
        let path = beside(target);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(OciError::file("create", &path))?;
        match file.try_lock() {
            // Asked under the lock: the run that had it may have renamed the very file that is open here.
            Ok(()) if stands_at(&file, &path) => {}
            Ok(()) | Err(TryLockError::WouldBlock) => return Err(OciError::Busy { path }),
            Err(TryLockError::Error(error)) => return Err(OciError::file("lock", path)(error)),
        }
        file.set_len(members_end)
            .map_err(OciError::file("write", &path))?;
        Ok(Self {
            target: target.to_owned(),
            path,
            file,
            members_end,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Writes all of the bytes.
    ///
    /// # Errors
    /// [`OciError::File`], with [`io::ErrorKind::StorageFull`] where the disk is full.
    pub(super) fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), OciError> {
        self.file
            .write_all_at(bytes, at)
            .map_err(OciError::file("write", &self.path))
    }

    /// Waits until what was written is on the disk.
    ///
    /// # Errors
    /// [`OciError::File`].
    pub(super) fn sync(&self) -> Result<(), OciError> {
        self.file
            .sync_all()
            .map_err(OciError::file("write", &self.path))
    }

    /// Ends the file, and gives it its name when it is on the disk.
    ///
    /// # Errors
    /// [`OciError::File`].
    pub(super) fn finish(&self, ending: &[u8]) -> Result<(), OciError> {
        self.write_at(ending, self.members_end)?;
        self.sync()?;
        fs::rename(&self.path, &self.target).map_err(OciError::file("create", &self.target))?;
        sync_directory(directory(&self.target))
    }
}

/// The directory of a file; that of one without is the current one.
fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    }
}

/// In the same directory, so that the rename cannot fail halfway.
fn beside(target: &Path) -> PathBuf {
    let mut name = OsString::from(".unfinished-");
    name.push(target.file_name().unwrap_or_default());
    target.with_file_name(name)
}
