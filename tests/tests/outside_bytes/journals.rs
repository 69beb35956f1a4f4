//! Journals: torn, damaged, and of any bytes.

use std::{fs, path::Path};

use messaging::journal::{Journal, JournalError, Kind, Records, compare};
use proptest::prelude::*;
use uuid::Uuid;

/// A record as the writer takes it.
pub type Entry = (Kind, Uuid, u64, u64);

/// Records of a few producers, their numbers at either end of what there is.
pub fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let kind = prop::sample::select(vec![Kind::Confirmed, Kind::Acked, Kind::Dead]);
    let first = prop_oneof![0_u64..40, (u64::MAX - 40)..=u64::MAX];
    let entry = (kind, 0_u128..3, first, 0_u64..9).prop_map(|(kind, producer, first, length)| {
        (
            kind,
            Uuid::from_u128(producer),
            first,
            first.saturating_add(length),
        )
    });
    prop::collection::vec(entry, 0..12)
}

/// What the writer makes of one record.
pub fn line((kind, producer, first, last): &Entry) -> String {
    format!("{} {producer} {first}-{last}\n", kind.name())
}

/// What these records say together, by way of a journal of their own.
pub fn records(entries: &[Entry]) -> Records {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("journal")).unwrap();
    for (kind, producer, first, last) in entries {
        journal
            .append(*kind, [(*producer, *first..=*last)])
            .unwrap();
    }
    journal.records().clone()
}

fn read(path: &Path, bytes: &[u8]) -> Result<Records, JournalError> {
    fs::write(path, bytes).unwrap();
    Records::read(path)
}

/// Either what stands there, which is written and read again as the same, or damage that names its line.
fn check(path: &Path, bytes: &[u8]) {
    match read(path, bytes) {
        Ok(records) => {
            compare(&records, &records);
            assert_eq!(read(path, records.to_string().as_bytes()).unwrap(), records);
        }
        Err(JournalError::Malformed { line, .. }) => {
            let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
            assert!((1..=lines).contains(&line));
        }
        Err(other) => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn what_is_written_is_read(entries in entries()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path).unwrap();
        let mut text = String::new();
        for entry in &entries {
            journal.append(entry.0, [(entry.1, entry.2..=entry.3)]).unwrap();
            text.push_str(&line(entry));
        }
        prop_assert_eq!(fs::read_to_string(&path).unwrap(), text);
        prop_assert_eq!(&Records::read(&path).unwrap(), journal.records());
        let said = journal.records().clone();
        drop(journal);
        let again = Journal::open(&path).unwrap();
        prop_assert_eq!(again.records(), &said, "opened and compacted");
        prop_assert_eq!(Records::read(&path).unwrap(), said, "read after that");
    }

    #[test]
    fn a_journal_torn_at_any_byte_says_what_its_whole_lines_say(entries in entries()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let text: String = entries.iter().map(line).collect();
        let mut whole = 0;
        let mut expected = records(&[]);
        for end in 0..=text.len() {
            let lines = text[..end].matches('\n').count();
            if lines > whole {
                whole = lines;
                expected = records(&entries[..whole]);
            }
            prop_assert_eq!(&read(&path, &text.as_bytes()[..end]).unwrap(), &expected, "{} bytes", end);
        }
    }

    #[test]
    fn a_line_of_garbage_is_damage_and_never_a_record(entries in entries(), garbage in "[^\n]{0,60}", more in entries()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let text: String = entries.iter().map(line).collect();
        let rest: String = more.iter().map(line).collect();
        let damaged = format!("{text}{garbage}\n{rest}");
        let error = read(&path, damaged.as_bytes()).unwrap_err();
        let is_named = matches!(error, JournalError::Malformed { line, .. } if line == entries.len() + 1);
        prop_assert!(is_named, "{}", error);
        prop_assert!(Journal::open(&path).is_err());
        prop_assert_eq!(fs::read_to_string(&path).unwrap(), damaged, "the file is left alone");
    }

    #[test]
    fn a_flipped_bit_is_damage_or_read_as_what_it_says(entries in entries()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut bytes = entries.iter().take(2).map(line).collect::<String>().into_bytes();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            check(&path, &bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn no_bytes_break_the_reader(bytes: Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        check(&folder.path().join("journal"), &bytes);
    }
}

/// Two producers with all there is: no count can say how many that are, and a damaged journal can claim it.
#[test]
fn a_claim_beyond_any_count_is_counted_as_the_most() {
    let all = |producer| (Kind::Confirmed, Uuid::from_u128(producer), 0, u64::MAX);
    let ledger = compare(&records(&[all(1), all(2)]), &Records::default());
    assert_eq!(
        (ledger.confirmed, ledger.lost_count()),
        (u64::MAX, u64::MAX)
    );
}
