//! Sequence numbers per producer as sets: together, apart, and in common.

use messaging::{journal::Sequences, ranges::RangeSet};

/// Adds the messages of `other`.
pub(crate) fn extend(sequences: &mut Sequences, other: &Sequences) {
    for (&producer, ranges) in other {
        sequences.entry(producer).or_default().extend(ranges);
    }
}

/// The messages of all.
pub(crate) fn union<'a>(all: impl IntoIterator<Item = &'a Sequences>) -> Sequences {
    let mut union = Sequences::new();
    for sequences in all {
        extend(&mut union, sequences);
    }
    union
}

/// The messages of `one` that are not in `other`.
pub(crate) fn difference(one: &Sequences, other: &Sequences) -> Sequences {
    let none = RangeSet::default();
    one.iter()
        .map(|(producer, ranges)| {
            let other = other.get(producer).unwrap_or(&none);
            (*producer, ranges.difference(other))
        })
        .filter(|(_, left)| !left.is_empty())
        .collect()
}

/// The messages that are in both.
pub(crate) fn intersection(one: &Sequences, other: &Sequences) -> Sequences {
    difference(one, &difference(one, other))
}
