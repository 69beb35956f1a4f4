//! Sets of sequence numbers against a plain set, at both ends of the numbers.

use std::collections::BTreeSet;

use messaging::ranges::RangeSet;
use proptest::prelude::*;

/// Numbers that crowd at either end, where arithmetic overflows.
fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..24, (u64::MAX - 24)..=u64::MAX]
}

/// Ranges of up to nine numbers at either end.
fn spans() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let span =
        (numbers(), 0_u64..9).prop_map(|(first, length)| (first, first.saturating_add(length)));
    prop::collection::vec(span, 0..12)
}

fn sets(spans: &[(u64, u64)]) -> (RangeSet, BTreeSet<u64>) {
    let mut set = RangeSet::default();
    let mut model = BTreeSet::new();
    for &(first, last) in spans {
        set.insert_range(first..=last);
        model.extend(first..=last);
    }
    (set, model)
}

fn members(set: &RangeSet) -> Vec<u64> {
    set.iter().flatten().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn a_set_has_what_was_put_in(spans in spans(), asked in numbers()) {
        let (set, model) = sets(&spans);
        prop_assert_eq!(set.len(), model.len() as u64);
        prop_assert_eq!(set.is_empty(), model.is_empty());
        prop_assert_eq!(set.contains(asked), model.contains(&asked));
        prop_assert_eq!(members(&set), model.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn ranges_neither_touch_nor_overlap(spans in spans()) {
        let ranges: Vec<_> = sets(&spans).0.iter().collect();
        for pair in ranges.windows(2) {
            prop_assert!(pair[1].start() - pair[0].end() > 1, "{:?}", pair);
        }
    }

    #[test]
    fn an_insertion_tells_whether_it_was_new(spans in spans(), number in numbers()) {
        let (mut set, mut model) = sets(&spans);
        prop_assert_eq!(set.insert(number), model.insert(number));
    }

    #[test]
    fn a_difference_is_that_of_plain_sets(left in spans(), right in spans()) {
        let ((left, model), (right, other)) = (sets(&left), sets(&right));
        let expected: Vec<u64> = model.difference(&other).copied().collect();
        prop_assert_eq!(members(&left.difference(&right)), expected);
    }
}

/// One more than a count can hold.
#[test]
fn the_set_of_all_numbers_counts_as_many_as_a_count_can_say() {
    let mut set = RangeSet::default();
    set.insert_range(0..=u64::MAX);
    assert_eq!(set.len(), u64::MAX);
}
