//! A journal read while it grows.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
};

use messaging::journal::{Follower, Journal, JournalError, Kind, Records};
use proptest::{prelude::*, sample::Index};
use uuid::Uuid;

use crate::journals::{entries, line};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn pieces_of_any_size_say_what_the_whole_says(entries in entries(), cuts: [Index; 9]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let text: String = entries.iter().map(line).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.push(text.len());
        cuts.sort_unstable();
        let mut follower = Follower::new(&path);
        follower.look().unwrap();
        let mut file = File::create(&path).unwrap();
        let mut written = 0;
        for cut in cuts {
            file.write_all(&text.as_bytes()[written..cut]).unwrap();
            written = cut;
            follower.look().unwrap();
            prop_assert_eq!(follower.records(), &Records::read(&path).unwrap());
        }
        let mut at_once = Follower::new(&path);
        at_once.look().unwrap();
        prop_assert_eq!(follower.records(), at_once.records());
        prop_assert_eq!(follower.acked_twice(), at_once.acked_twice());
    }

    #[test]
    fn no_restart_of_the_writer_hides_a_record(entries in entries(), restarts: [bool; 12]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut follower = Follower::new(&path);
        let mut journal = Some(Journal::open(&path).unwrap());
        for (entry, restart) in entries.iter().zip(restarts) {
            if restart {
                // Two journals at once would be refused.
                drop(journal.take());
                journal = Some(Journal::open(&path).unwrap());
            }
            let journal = journal.as_mut().unwrap();
            journal.append(entry.0, [(entry.1, entry.2..=entry.3)]).unwrap();
            follower.look().unwrap();
            prop_assert_eq!(follower.records(), journal.records());
        }
    }
}

/// Who waits for a file to be mended looks again and again.
#[test]
fn damage_is_named_by_the_same_line_at_every_look() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let good = line(&(Kind::Acked, Uuid::from_u128(1), 1, 3));
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .unwrap();
    write!(file, "{good}what is this\n{good}").unwrap();
    let mut follower = Follower::new(&path);
    for _ in 0..3 {
        let error = follower.look().unwrap_err();
        assert!(
            matches!(error, JournalError::Malformed { line: 2, .. }),
            "{error}"
        );
        assert_eq!(follower.acked_twice(), 0);
    }
}

/// A damaged journal can claim more repetitions than can be counted.
#[test]
fn repetitions_beyond_any_count_are_counted_as_the_most() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal");
    let all = line(&(Kind::Acked, Uuid::from_u128(1), 0, u64::MAX));
    std::fs::write(&path, all.repeat(3)).unwrap();
    let mut follower = Follower::new(&path);
    follower.look().unwrap();
    assert_eq!(follower.acked_twice(), u64::MAX);
}
