//! The journal as a file.

use std::{error::Error as _, fs};

use super::*;

const PRODUCER: Uuid = Uuid::from_u128(5);

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn line(kind: Kind, first: u64, last: u64) -> String {
    format!("{} {PRODUCER} {first}-{last}\n", kind.name())
}

fn append(journal: &mut Journal, kind: Kind, range: RangeInclusive<u64>) {
    journal.append(kind, [(PRODUCER, range)]).unwrap();
}

#[test]
fn what_is_appended_is_read_back_by_anyone_at_once() {
    let folder = folder();
    let path = folder.path().join("journal");
    let mut journal = Journal::open(&path).unwrap();
    append(&mut journal, Kind::Acked, 1..=5);
    append(&mut journal, Kind::Dead, 6..=6);
    let records = Records::read(&path).unwrap();
    assert_eq!(&records, journal.records());
    assert_eq!(records.acked[&PRODUCER].to_string(), "1-5");
    assert_eq!(records.dead[&PRODUCER].to_string(), "6");
}

#[test]
fn a_half_written_last_line_is_cut_off_and_the_next_record_stands_alone() {
    let folder = folder();
    let path = folder.path().join("journal");
    let whole = line(Kind::Confirmed, 1, 3);
    for half in ["c", "confirmed ", &line(Kind::Confirmed, 4, 10)[..50]] {
        fs::write(&path, format!("{whole}{half}")).unwrap();
        assert_eq!(
            Records::read(&path).unwrap().confirmed[&PRODUCER].len(),
            3,
            "read beside a writer"
        );
        let mut journal = Journal::open(&path).unwrap();
        append(&mut journal, Kind::Confirmed, 4..=4);
        drop(journal);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{whole}{}", line(Kind::Confirmed, 4, 4))
        );
    }
}

#[test]
fn a_malformed_line_is_named_and_the_file_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("journal");
    let content = format!("{}what is this\n", line(Kind::Confirmed, 1, 3));
    fs::write(&path, &content).unwrap();
    let message = Journal::open(&path).unwrap_err().to_string();
    assert!(
        message.contains("line 2")
            && message.contains("what is this")
            && message.contains("journal"),
        "{message}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), content);
}

#[test]
fn opening_compacts() {
    let folder = folder();
    let path = folder.path().join("journal");
    let content: String = (1..=1000)
        .map(|number| line(Kind::Acked, number, number))
        .collect();
    fs::write(&path, content).unwrap();
    let mut journal = Journal::open(&path).unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        line(Kind::Acked, 1, 1000)
    );
    append(&mut journal, Kind::Acked, 1001..=1001);
    drop(journal);
    assert_eq!(
        Journal::open(&path).unwrap().records().acked[&PRODUCER].to_string(),
        "1-1001"
    );
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "no file is left beside it"
    );
}

#[test]
fn two_processes_cannot_write_one_journal() {
    let folder = folder();
    let path = folder.path().join("journal");
    fs::write(&path, line(Kind::Acked, 1, 1).repeat(2)).unwrap();
    let first = Journal::open(&path).unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert!(matches!(error, JournalError::InUse { .. }), "{error}");
    assert!(error.hint().contains("--journal"));
    drop(first);
    Journal::open(&path).unwrap();
}

#[test]
fn a_device_is_not_read_for_ever() {
    for path in ["/dev/full", "/dev/zero"] {
        let error = Journal::open(Path::new(path)).unwrap_err();
        assert!(matches!(error, JournalError::NotAFile { .. }), "{error}");
    }
}

#[test]
fn a_missing_directory_is_named_with_its_reason() {
    let error = Journal::open(Path::new("/nonexistent/journal")).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/journal"));
    assert!(error.source().unwrap().to_string().contains("No such file"));
}

#[test]
fn keys_in_any_order_become_the_fewest_ranges() {
    let other = Uuid::from_u128(99);
    let mut keys = [3, 1, 9, 2, 2, 8].map(|number| (PRODUCER, number)).to_vec();
    keys.push((other, 4));
    let mut ranges: Vec<_> = runs(&mut keys).collect();
    ranges.sort_by_key(|(producer, range)| (*producer == other, *range.start()));
    assert_eq!(
        ranges,
        [(PRODUCER, 1..=3), (PRODUCER, 8..=9), (other, 4..=4)]
    );
    assert_eq!(runs(&mut []).count(), 0);
}
