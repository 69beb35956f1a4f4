//! The ledger of handled messages against a plain set of them.

use std::collections::HashSet;

use messaging::duplicates::{DuplicateLedger, Seen};
use proptest::prelude::*;
use uuid::Uuid;

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin(u128, u64),
    Finish(u128, u64, bool),
    LayDownAll,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u128..2, 0_u64..8).prop_map(|(producer, sequence)| Step::Begin(producer, sequence)),
        4 => (0_u128..2, 0_u64..8, any::<bool>())
            .prop_map(|(producer, sequence, handled)| Step::Finish(producer, sequence, handled)),
        1 => Just(Step::LayDownAll),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn a_delivery_is_first_until_it_is_in_hand_or_handled(steps in prop::collection::vec(steps(), 0..60)) {
        let mut ledger = DuplicateLedger::default();
        let (mut handled, mut in_hand) = (HashSet::new(), HashSet::new());
        for step in steps {
            match step {
                Step::Begin(producer, sequence) => {
                    let key = (Uuid::from_u128(producer), sequence);
                    let is_first = !handled.contains(&key) && in_hand.insert(key);
                    prop_assert_eq!(ledger.begin(key) == Seen::First, is_first);
                }
                Step::Finish(producer, sequence, is_handled) => {
                    let key = (Uuid::from_u128(producer), sequence);
                    in_hand.remove(&key);
                    if is_handled {
                        handled.insert(key);
                    }
                    ledger.finish(key, is_handled);
                }
                Step::LayDownAll => {
                    in_hand.clear();
                    ledger.lay_down_all();
                }
            }
        }
    }
}
