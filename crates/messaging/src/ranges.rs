//! A set of sequence numbers kept as ranges: small while numbers arrive nearly in order, whatever their count.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive};

/// A set of `u64` kept as disjoint, non-adjacent, inclusive ranges.
///
/// Its memory is proportional to the number of gaps: everything up to a watermark is one range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    /// First number of each range to its last.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// Adds one number; `false` when it was there.
    pub fn insert(&mut self, number: u64) -> bool {
        if self.contains(number) {
            return false;
        }
        self.insert_range(number..=number);
        true
    }

    /// Adds every number of `range`; an empty range adds nothing.
    pub fn insert_range(&mut self, range: RangeInclusive<u64>) {
        let (mut first, mut last) = range.into_inner();
        if first > last {
            return;
        }
        if let Some((&before, &end)) = self.ranges.range(..=first).next_back()
            && end.saturating_add(1) >= first
        {
            first = before;
            last = last.max(end);
        }
        while let Some((&next, &end)) = self
            .ranges
            .range(first..=last.saturating_add(1))
            .next_back()
        {
            last = last.max(end);
            self.ranges.remove(&next);
        }
        self.ranges.insert(first, last);
    }

    /// Adds every number of `other`.
    pub fn extend(&mut self, other: &Self) {
        for range in other.iter() {
            self.insert_range(range);
        }
    }

    /// Whether the number is in the set.
    pub fn contains(&self, number: u64) -> bool {
        self.ranges
            .range(..=number)
            .next_back()
            .is_some_and(|(_, &last)| number <= last)
    }

    /// Whether the set has no number.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many numbers are in the set; the set of all numbers has one more than is told.
    pub fn len(&self) -> u64 {
        self.ranges.iter().fold(0, |count: u64, (first, last)| {
            count.saturating_add((last - first).saturating_add(1))
        })
    }

    /// The ranges in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = RangeInclusive<u64>> + '_ {
        self.ranges.iter().map(|(&first, &last)| first..=last)
    }

    /// The numbers of `self` that are not in `other`.
    pub fn difference(&self, other: &Self) -> Self {
        let mut left = Self::default();
        'ranges: for range in self.iter() {
            let (mut first, last) = range.into_inner();
            let start = other
                .ranges
                .range(..=first)
                .next_back()
                .map_or(first, |(&start, _)| start);
            for (&hole_first, &hole_last) in other.ranges.range(start..=last) {
                if hole_last < first {
                    continue;
                }
                if hole_first > first {
                    left.ranges.insert(first, hole_first - 1);
                }
                if hole_last >= last {
                    continue 'ranges;
                }
                first = hole_last + 1;
            }
            left.ranges.insert(first, last);
        }
        left
    }
}

/// `1-5, 7, 9-12`.
impl fmt::Display for RangeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            if range.start() == range.end() {
                write!(f, "{}", range.start())?;
            } else {
                write!(f, "{}-{}", range.start(), range.end())?;
            }
        }
        Ok(())
    }
}

impl FromIterator<u64> for RangeSet {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut set = Self::default();
        for number in numbers {
            set.insert(number);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn check(numbers: &[u64], expected: &str) {
        let set: RangeSet = numbers.iter().copied().collect();
        assert_eq!(set.to_string(), expected, "{numbers:?}");
        assert_eq!(
            set.len(),
            numbers.iter().collect::<BTreeSet<_>>().len() as u64
        );
    }

    #[test]
    fn neighbours_become_one_range() {
        check(&[], "");
        check(&[1, 2, 3], "1-3");
        check(&[3, 1, 2], "1-3");
        check(&[1, 3, 5], "1, 3, 5");
        check(&[1, 3, 5, 4, 2], "1-5");
        check(&[7, 7, 7], "7");
        check(&[0, u64::MAX], "0, 18446744073709551615");
    }

    #[test]
    fn overlapping_ranges_merge() {
        let mut set = RangeSet::default();
        for range in [10..=20, 30..=40, 15..=32, 41..=41, 1..=5] {
            set.insert_range(range);
        }
        assert_eq!(set.to_string(), "1-5, 10-41");
    }

    #[test]
    fn an_empty_range_adds_nothing() {
        let mut set = RangeSet::default();
        let (first, last) = (5, 4);
        set.insert_range(first..=last);
        assert!(set.is_empty());
    }

    #[test]
    fn random_sets_agree_with_a_plain_set() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let mut numbers = || -> Vec<u64> {
                let count = random.usize(0..40);
                (0..count).map(|_| random.u64(0..60)).collect()
            };
            let (left, right) = (numbers(), numbers());
            let plain: BTreeSet<u64> = left.iter().copied().collect();
            let other: BTreeSet<u64> = right.iter().copied().collect();
            let set: RangeSet = left.into_iter().collect();
            let removed: RangeSet = right.into_iter().collect();
            for number in 0..60 {
                assert_eq!(set.contains(number), plain.contains(&number));
            }
            let expected: RangeSet = plain.difference(&other).copied().collect();
            assert_eq!(set.difference(&removed), expected, "{set} minus {removed}");
        }
    }
}
