//! The journal: an append-only text file of what was confirmed (producer) or handled (consumer).
//!
//! One record a line, `confirmed|acked|dead <producer uuid> <first>-<last>`, in any order, overlaps allowed. A record is
//! handed to the system in one write and survives the death of the process; it is not forced to the disk, so the last
//! records may miss after a power failure. A half-written last line is cut off when the journal is opened.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    ops::RangeInclusive,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use crate::duplicates::Key;

pub use compare::{Ledger, compare, count};
pub use follower::Follower;
pub use record::{Kind, Records, Sequences};
pub(crate) use shared::SharedJournal;

mod compare;
mod follower;
mod record;
mod shared;

/// Appended bytes after which a journal is compacted while it is open.
const COMPACT_AFTER_BYTES: u64 = 64 * 1024 * 1024;

/// A journal open for writing; no other process can open it meanwhile.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    records: Records,
    appended_bytes: u64,
    lines: String,
}

impl Journal {
    /// Opens the journal, makes it if it does not exist, cuts off a half-written last line, and replaces it by its
    /// shortest equal when that is shorter.
    ///
    /// # Errors
    ///
    /// The path is no regular file or cannot be opened; another process has it open; a line is malformed; the disk
    /// refuses a write.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let mut file = lock(path)?;
        let parsed = parse(path, &read_all(path, &mut file)?)?;
        file.set_len(parsed.whole_bytes)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(|source| JournalError::write(path, source))?;
        let compactable = parsed.lines > parsed.records.ranges();
        let mut journal = Self {
            path: path.to_owned(),
            file,
            records: parsed.records,
            appended_bytes: 0,
            lines: String::new(),
        };
        if compactable {
            journal.compact()?;
        }
        Ok(journal)
    }

    /// All that the journal says.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// Appends records of one kind in one write.
    ///
    /// # Errors
    ///
    /// The disk refuses the write: the records may not be in the file, and the journal must not be written again.
    pub fn append(
        &mut self,
        kind: Kind,
        records: impl IntoIterator<Item = (Uuid, RangeInclusive<u64>)>,
    ) -> Result<(), JournalError> {
        self.lines.clear();
        for (producer, range) in records {
            record::write_line(&mut self.lines, kind, producer, &range)
                .expect("writing into a string cannot fail");
            self.records.insert(kind, producer, range);
        }
        self.file
            .write_all(self.lines.as_bytes())
            .map_err(|source| JournalError::write(&self.path, source))?;
        self.appended_bytes += self.lines.len() as u64;
        if self.appended_bytes > COMPACT_AFTER_BYTES {
            self.compact()?;
        }
        Ok(())
    }

    /// Replaces the file atomically by the shortest journal that says the same.
    fn compact(&mut self) -> Result<(), JournalError> {
        let beside = self.path.with_added_extension("new");
        let replace = || -> io::Result<File> {
            let mut file = File::create(&beside)?;
            // Locked before it takes the name, so that at no time the name belongs to an unlocked journal.
            file.lock()?;
            write!(file, "{}", self.records)?;
            file.sync_all()?;
            std::fs::rename(&beside, &self.path)?;
            Ok(file)
        };
        match replace() {
            Ok(file) => {
                self.file = file;
                self.appended_bytes = 0;
                Ok(())
            }
            Err(source) => {
                // What is left of it would only take more of a full disk; the journal itself is untouched.
                let _ = std::fs::remove_file(&beside);
                Err(JournalError::write(&self.path, source))
            }
        }
    }
}

/// The ranges for [`Journal::append`] that hold these keys: one more than there are gaps.
pub(crate) fn runs(keys: &mut [Key]) -> impl Iterator<Item = (Uuid, RangeInclusive<u64>)> + '_ {
    keys.sort_unstable();
    let follows = |&(producer, number): &Key, &(next_producer, next): &Key| {
        producer == next_producer && next - number <= 1
    };
    keys.chunk_by(follows).filter_map(|run| {
        let (&(producer, first), &(_, last)) = Option::zip(run.first(), run.last())?;
        Some((producer, first..=last))
    })
}

impl Records {
    /// Reads a journal that another process may be writing; a half-written last line is passed over.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a line is malformed.
    pub fn read(path: &Path) -> Result<Self, JournalError> {
        let mut file = File::open(path).map_err(|source| JournalError::open(path, source))?;
        Ok(parse(path, &read_all(path, &mut file)?)?.records)
    }
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be opened or read.
    #[error("cannot open the journal {path}")]
    Open {
        /// The journal.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The path is a directory or a device.
    #[error("the journal {path} is not a regular file")]
    NotAFile {
        /// The journal.
        path: PathBuf,
    },
    /// Two writers would mix their lines.
    #[error("the journal {path} is in use by another process")]
    InUse {
        /// The journal.
        path: PathBuf,
    },
    /// A line that no writer of this format wrote.
    #[error(
        "line {line} of the journal {path} is `{text}`, expected `confirmed|acked|dead <uuid> <first>-<last>`"
    )]
    Malformed {
        /// The journal.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What stands there, shortened.
        text: String,
    },
    /// The disk refuses.
    #[error("cannot write the journal {path}")]
    Write {
        /// The journal.
        path: PathBuf,
        /// What the system says: most often that the disk is full.
        source: io::Error,
    },
}

impl JournalError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Open { path, .. } | Self::NotAFile { path } => format!(
                "give a file in a directory that this user may write with --journal, not {}",
                path.display()
            ),
            Self::InUse { path } => format!(
                "give each process a journal of its own with --journal; `fuser {}` names the other one",
                path.display()
            ),
            Self::Malformed { path, .. } => format!(
                "look at {0}, then move it away: `mv {0} {0}.bad`",
                path.display()
            ),
            Self::Write { path, .. } => format!(
                "free space where {} lies (`df -h {}`), or give another file with --journal, then start again: \
                 what the broker holds is delivered then",
                path.display(),
                path.parent().unwrap_or(path).display()
            ),
        }
    }

    fn open(path: &Path, source: io::Error) -> Self {
        Self::Open {
            path: path.to_owned(),
            source,
        }
    }

    fn write(path: &Path, source: io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }
}

/// Opens and locks the file that the path names at that moment: its last owner may just have replaced it.
fn lock(path: &Path) -> Result<File, JournalError> {
    let open = |source| JournalError::open(path, source);
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(open)?;
        let opened = file.metadata().map_err(open)?;
        if !opened.is_file() {
            return Err(JournalError::NotAFile {
                path: path.to_owned(),
            });
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::InUse {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(open(source)),
        }
        if std::fs::metadata(path).is_ok_and(|named| named.ino() == opened.ino()) {
            return Ok(file);
        }
    }
}

fn read_all(path: &Path, file: &mut File) -> Result<Vec<u8>, JournalError> {
    let mut content = Vec::new();
    file.read_to_end(&mut content)
        .map_err(|source| JournalError::open(path, source))?;
    Ok(content)
}

struct Parsed {
    records: Records,
    lines: usize,
    whole_bytes: u64,
}

fn parse(path: &Path, content: &[u8]) -> Result<Parsed, JournalError> {
    let whole = content
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |end| end + 1);
    let mut parsed = Parsed {
        records: Records::default(),
        lines: 0,
        whole_bytes: whole as u64,
    };
    for line in content[..whole].split_inclusive(|&byte| byte == b'\n') {
        parsed.lines += 1;
        let text = String::from_utf8_lossy(&line[..line.len() - 1]);
        let Some((kind, producer, range)) = record::parse_line(&text) else {
            return Err(JournalError::Malformed {
                path: path.to_owned(),
                line: parsed.lines,
                text: text.chars().take(80).collect(),
            });
        };
        parsed.records.insert(kind, producer, range);
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests;
