//! Reading a journal along with its writer, for whoever judges it while the work goes on.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    ops::RangeInclusive,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::{
    JournalError,
    record::{self, Kind, Records},
};
use crate::ranges::RangeSet;

/// A journal as far as it was read, over all restarts of its writer.
///
/// A journal that is opened again is replaced by its shortest equal, in which nothing stands twice. The follower keeps
/// hold of the file that was replaced and reads it to its end first, so that no repetition escapes it.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    file: Option<Open>,
    records: Records,
    acked_twice: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// How far it was read: to the end of its last whole line.
    read_bytes: u64,
    /// The number of its last whole line.
    line: usize,
}

impl Follower {
    /// Follows the journal at `path`, which need not exist yet.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            records: Records::default(),
            acked_twice: 0,
        }
    }

    /// All that the journal said at the last look.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// How many messages were written down as handled although they stood there as handled already: duplicates that
    /// the consumer did not recognise.
    pub fn acked_twice(&self) -> u64 {
        self.acked_twice
    }

    /// Reads what was written since the last look; a half-written last line waits for the next.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or a line is malformed.
    pub fn look(&mut self) -> Result<(), JournalError> {
        loop {
            if self.file.is_none() && !self.open()? {
                return Ok(());
            }
            // Asked before reading: what has lost its name by now is written no more, and is read to its end.
            let is_replaced = self.is_replaced()?;
            self.read()?;
            if !is_replaced {
                return Ok(());
            }
            self.file = None;
        }
    }

    /// Opens the file that has the journal's name; `false` when there is none yet.
    fn open(&mut self) -> Result<bool, JournalError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(JournalError::open(&self.path, source)),
        };
        self.file = Some(Open {
            file,
            read_bytes: 0,
            line: 0,
        });
        // It says all that its predecessor said.
        self.records = Records::default();
        Ok(true)
    }

    fn is_replaced(&self) -> Result<bool, JournalError> {
        let Some(open) = &self.file else {
            return Ok(false);
        };
        let failed = |source| JournalError::open(&self.path, source);
        let named = fs::metadata(&self.path).map_err(failed)?;
        let opened = open.file.metadata().map_err(failed)?;
        Ok(named.ino() != opened.ino())
    }

    fn read(&mut self) -> Result<(), JournalError> {
        let Some(open) = &mut self.file else {
            return Ok(());
        };
        let mut content = Vec::new();
        open.file
            .seek(SeekFrom::Start(open.read_bytes))
            .and_then(|_| open.file.read_to_end(&mut content))
            .map_err(|source| JournalError::open(&self.path, source))?;
        for line in content.split_inclusive(|&byte| byte == b'\n') {
            let [text @ .., b'\n'] = line else {
                break;
            };
            let text = String::from_utf8_lossy(text);
            let Some((kind, producer, range)) = record::parse_line(&text) else {
                return Err(JournalError::Malformed {
                    path: self.path.clone(),
                    line: open.line + 1,
                    text: text.chars().take(80).collect(),
                });
            };
            if kind == Kind::Acked {
                let twice = known(&self.records, producer, &range);
                self.acked_twice = self.acked_twice.saturating_add(twice);
            }
            self.records.insert(kind, producer, range);
            open.read_bytes += line.len() as u64;
            open.line += 1;
        }
        Ok(())
    }
}

/// How many numbers of a range stand among the handled ones.
fn known(records: &Records, producer: Uuid, range: &RangeInclusive<u64>) -> u64 {
    let Some(acked) = records.acked.get(&producer) else {
        return 0;
    };
    let mut new = RangeSet::default();
    new.insert_range(range.clone());
    new.len() - new.difference(acked).len()
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, io::Write as _};

    use super::*;
    use crate::journal::Journal;

    const PRODUCER: Uuid = Uuid::from_u128(7);

    fn acked(follower: &Follower) -> String {
        follower
            .records()
            .acked
            .get(&PRODUCER)
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn what_is_written_later_is_read_at_the_next_look() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut follower = Follower::new(&path);
        follower.look().unwrap();
        assert_eq!(acked(&follower), "");
        append(&path, &format!("acked {PRODUCER} 1-5\nacked {PRODUCER} 6"));
        follower.look().unwrap();
        assert_eq!(acked(&follower), "1-5");
        append(&path, "-7\n");
        follower.look().unwrap();
        assert_eq!(
            (acked(&follower).as_str(), follower.acked_twice()),
            ("1-7", 0)
        );
    }

    #[test]
    fn a_restarted_writer_repeats_nothing_and_hides_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut follower = Follower::new(&path);
        let mut journal = Journal::open(&path).unwrap();
        journal.append(Kind::Acked, [(PRODUCER, 1..=5)]).unwrap();
        follower.look().unwrap();
        // Unseen by the follower before the next writer replaces the file.
        journal
            .append(Kind::Acked, [(PRODUCER, 4..=8), (PRODUCER, 9..=9)])
            .unwrap();
        drop(journal);
        let mut journal = Journal::open(&path).unwrap();
        follower.look().unwrap();
        assert_eq!(
            (acked(&follower).as_str(), follower.acked_twice()),
            ("1-9", 2)
        );
        journal.append(Kind::Acked, [(PRODUCER, 9..=12)]).unwrap();
        follower.look().unwrap();
        assert_eq!(
            (acked(&follower).as_str(), follower.acked_twice()),
            ("1-12", 3)
        );
    }

    #[test]
    fn a_half_line_that_is_cut_off_is_read_as_what_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        append(
            &path,
            &format!("acked {PRODUCER} 1-5\nacked {PRODUCER} 6-999"),
        );
        let mut follower = Follower::new(&path);
        follower.look().unwrap();
        let mut journal = Journal::open(&path).unwrap();
        journal.append(Kind::Acked, [(PRODUCER, 7..=7)]).unwrap();
        follower.look().unwrap();
        assert_eq!(acked(&follower), "1-5, 7");
    }

    #[test]
    fn a_malformed_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        append(&path, &format!("acked {PRODUCER} 1-5\nnonsense\n"));
        let error = Follower::new(&path).look().unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
