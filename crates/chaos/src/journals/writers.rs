//! The journals of all that write the same kind of record: one process, or every pod that there ever was.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use messaging::journal::{Follower, JournalError};

/// The name of a journal in the directory of its pod.
const JOURNAL: &str = "journal";

/// The producers of a lab, or its consumers.
#[derive(Debug)]
pub struct Writers {
    /// Where a directory for each pod appears, and how the names of these pods begin.
    pods: Option<(PathBuf, String)>,
    followers: BTreeMap<PathBuf, Follower>,
}

impl Writers {
    /// One process, with its journal at this path over all restarts.
    pub fn one(path: &Path) -> Self {
        Self {
            pods: None,
            followers: BTreeMap::from([(path.to_owned(), Follower::new(path))]),
        }
    }

    /// The pods whose names begin with `<component>-`: each has its journal in a directory of its own below this one.
    pub fn pods(directory: &Path, component: &str) -> Self {
        Self {
            pods: Some((directory.to_owned(), format!("{component}-"))),
            followers: BTreeMap::new(),
        }
    }

    /// Where a pod's journal is.
    pub fn journal_of(directory: &Path, pod: &str) -> PathBuf {
        directory.join(pod).join(JOURNAL)
    }

    /// Each journal as far as it was read.
    pub(super) fn followers(&self) -> impl Iterator<Item = &Follower> {
        self.followers.values()
    }

    /// Reads what was written since the last look, by writers that are new, too.
    pub(super) fn look(&mut self) -> Result<(), JournalError> {
        self.discover()?;
        for follower in self.followers.values_mut() {
            follower.look()?;
        }
        Ok(())
    }

    fn discover(&mut self) -> Result<(), JournalError> {
        let Some((directory, prefix)) = &self.pods else {
            return Ok(());
        };
        let unreadable = |source: io::Error| JournalError::Open {
            path: directory.clone(),
            source,
        };
        for entry in fs::read_dir(directory).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            let Some(pod) = name.to_str().filter(|name| name.starts_with(prefix)) else {
                continue;
            };
            let path = Self::journal_of(directory, pod);
            self.followers
                .entry(path)
                .or_insert_with_key(|path| Follower::new(path));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_found_when_they_appear_and_kept_when_they_are_gone() {
        let folder = tempfile::tempdir().unwrap();
        let mut consumers = Writers::pods(folder.path(), "consumer");
        let appear = |pod: &str, text: &str| {
            fs::create_dir(folder.path().join(pod)).unwrap();
            fs::write(Writers::journal_of(folder.path(), pod), text).unwrap();
        };
        let producer = uuid::Uuid::from_u128(1);
        appear("consumer-a", &format!("acked {producer} 1-5\n"));
        appear("producer-a", &format!("confirmed {producer} 1-5\n"));
        consumers.look().unwrap();
        assert_eq!(consumers.followers().count(), 1, "no producer among them");
        appear("consumer-b", &format!("acked {producer} 6-9\n"));
        consumers.look().unwrap();
        let handled: u64 = consumers
            .followers()
            .map(|journal| journal.records().acked[&producer].len())
            .sum();
        assert_eq!(handled, 9);
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = Writers::pods(Path::new("/nonexistent"), "consumer")
            .look()
            .unwrap_err();
        assert!(error.to_string().contains("/nonexistent"), "{error}");
    }
}
