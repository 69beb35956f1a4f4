//! The ledger of handled messages against a plain set of them.

use std::collections::HashSet;

use messaging::duplicates::{DuplicateLedger, Holder, Seen};
use proptest::prelude::*;
use uuid::Uuid;

const PRODUCER: Uuid = Uuid::from_u128(1);

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin(Holder, u64),
    Finish(Holder, u64),
    LayDown(Holder, u64),
    LayDownAll(Holder),
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_usize..2, 0_u64..8).prop_map(|(holder, sequence)| Step::Begin(holder, sequence)),
        2 => (0_usize..2, 0_u64..8).prop_map(|(holder, sequence)| Step::Finish(holder, sequence)),
        2 => (0_usize..2, 0_u64..8).prop_map(|(holder, sequence)| Step::LayDown(holder, sequence)),
        1 => (0_usize..2).prop_map(Step::LayDownAll),
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
                Step::Begin(holder, sequence) => {
                    let is_first = !handled.contains(&sequence) && in_hand.insert((holder, sequence));
                    let seen = ledger.begin(holder, (PRODUCER, sequence));
                    prop_assert_eq!(seen == Seen::First, is_first);
                }
                Step::Finish(holder, sequence) => {
                    in_hand.remove(&(holder, sequence));
                    let seen = ledger.finish(holder, (PRODUCER, sequence));
                    prop_assert_eq!(seen == Seen::First, handled.insert(sequence));
                }
                Step::LayDown(holder, sequence) => {
                    in_hand.remove(&(holder, sequence));
                    ledger.lay_down(holder, (PRODUCER, sequence));
                }
                Step::LayDownAll(holder) => {
                    in_hand.retain(|&(other, _)| other != holder);
                    ledger.lay_down_all(holder);
                }
            }
        }
    }
}
