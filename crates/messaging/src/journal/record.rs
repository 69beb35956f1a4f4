//! The lines of a journal: `confirmed|acked|dead <producer uuid> <first>-<last>`.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive};

use uuid::Uuid;

use crate::ranges::RangeSet;

/// What a record says of its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The broker has confirmed them: from here on it must not lose them. Written by the producer.
    Confirmed,
    /// They were handled. Written by the consumer before it acknowledges them.
    Acked,
    /// They were given up and are the dead-letter queue's. Written by the consumer before its last rejection.
    Dead,
}

impl Kind {
    /// The first word of a record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Acked => "acked",
            Self::Dead => "dead",
        }
    }
}

/// Sequence numbers per producer.
pub type Sequences = BTreeMap<Uuid, RangeSet>;

/// All that a journal says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// What the broker has confirmed.
    pub confirmed: Sequences,
    /// What was handled.
    pub acked: Sequences,
    /// What was given up.
    pub dead: Sequences,
}

impl Records {
    pub(super) fn insert(&mut self, kind: Kind, producer: Uuid, range: RangeInclusive<u64>) {
        let sequences = match kind {
            Kind::Confirmed => &mut self.confirmed,
            Kind::Acked => &mut self.acked,
            Kind::Dead => &mut self.dead,
        };
        sequences.entry(producer).or_default().insert_range(range);
    }

    /// How many ranges there are: the lines of a compact journal.
    pub(super) fn ranges(&self) -> usize {
        [&self.confirmed, &self.acked, &self.dead]
            .into_iter()
            .flat_map(|sequences| sequences.values())
            .map(|ranges| ranges.iter().count())
            .sum()
    }
}

/// The shortest journal that says the same.
impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, sequences) in [
            (Kind::Confirmed, &self.confirmed),
            (Kind::Acked, &self.acked),
            (Kind::Dead, &self.dead),
        ] {
            for (producer, ranges) in sequences {
                for range in ranges.iter() {
                    write_line(f, kind, *producer, &range)?;
                }
            }
        }
        Ok(())
    }
}

/// Writes one record and its line end.
pub(super) fn write_line(
    into: &mut impl fmt::Write,
    kind: Kind,
    producer: Uuid,
    range: &RangeInclusive<u64>,
) -> fmt::Result {
    writeln!(
        into,
        "{} {producer} {}-{}",
        kind.name(),
        range.start(),
        range.end()
    )
}

/// Reads one record without its line end; `None` when it is malformed.
pub(super) fn parse_line(line: &str) -> Option<(Kind, Uuid, RangeInclusive<u64>)> {
    let mut words = line.split(' ');
    let kind = match words.next()? {
        "confirmed" => Kind::Confirmed,
        "acked" => Kind::Acked,
        "dead" => Kind::Dead,
        _ => return None,
    };
    let producer = words.next()?.parse().ok()?;
    let (first, last) = words.next()?.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (words.next().is_none() && first <= last).then_some((kind, producer, first..=last))
}

/// Digits alone; Rust's own reading takes a sign, too.
fn number(digits: &str) -> Option<u64> {
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCER: Uuid = Uuid::from_u128(0xabc);

    #[test]
    fn a_line_reads_back() {
        for kind in [Kind::Confirmed, Kind::Acked, Kind::Dead] {
            let mut line = String::new();
            write_line(&mut line, kind, PRODUCER, &(3..=8)).unwrap();
            assert_eq!(parse_line(line.trim_end()), Some((kind, PRODUCER, 3..=8)));
        }
    }

    #[test]
    fn malformed_lines_are_refused() {
        let uuid = PRODUCER;
        for line in [
            String::new(),
            "confirmed".to_owned(),
            format!("confirmed {uuid}"),
            format!("confirmed {uuid} 3"),
            format!("confirmed {uuid} 8-3"),
            format!("confirmed {uuid} 3-8 "),
            format!("confirmed  {uuid} 3-8"),
            format!("lost {uuid} 3-8"),
            format!("acked {uuid} 3--8"),
            format!("acked {uuid} +3-8"),
            "acked not-a-uuid 3-8".to_owned(),
        ] {
            assert_eq!(parse_line(&line), None, "{line:?}");
        }
    }

    #[test]
    fn records_print_as_the_shortest_journal() {
        let mut records = Records::default();
        records.insert(Kind::Confirmed, PRODUCER, 1..=2);
        records.insert(Kind::Confirmed, PRODUCER, 3..=9);
        records.insert(Kind::Dead, PRODUCER, 4..=4);
        assert_eq!(
            records.to_string(),
            format!("confirmed {PRODUCER} 1-9\ndead {PRODUCER} 4-4\n")
        );
        assert_eq!(records.ranges(), 2);
    }
}
