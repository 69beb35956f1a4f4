//! The body of a message.

use jiff::Timestamp;
use messaging::envelope::Envelope;
use proptest::prelude::*;
use uuid::Uuid;

fn envelopes() -> impl Strategy<Value = Envelope<'static>> {
    let nanoseconds = Timestamp::MIN.as_nanosecond()..=Timestamp::MAX.as_nanosecond();
    (
        any::<[u128; 2]>(),
        any::<u64>(),
        nanoseconds,
        any::<String>(),
    )
        .prop_map(
            |([id, producer], sequence, nanoseconds, payload)| Envelope {
                id: Uuid::from_u128(id),
                producer: Uuid::from_u128(producer),
                sequence,
                published_at: Timestamp::from_nanosecond(nanoseconds).unwrap(),
                payload: payload.into(),
            },
        )
}

/// What was read is written and read again as the same; what was refused is refused with its size.
fn check(body: &[u8]) {
    match Envelope::decode(body) {
        Ok(envelope) => assert_eq!(Envelope::decode(&envelope.encode()).unwrap(), envelope),
        Err(error) => assert!(error.to_string().contains(&format!("{} bytes", body.len()))),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn what_is_encoded_decodes_to_the_same(envelope in envelopes()) {
        let body = envelope.encode();
        prop_assert_eq!(Envelope::decode(&body).unwrap(), envelope);
    }

    #[test]
    fn a_part_of_an_envelope_is_none(envelope in envelopes()) {
        let body = envelope.encode();
        for end in 0..body.len() {
            prop_assert!(Envelope::decode(&body[..end]).is_err());
        }
    }

    #[test]
    fn an_envelope_with_something_behind_it_is_none(envelope in envelopes(), behind in "[^ \t\r\n]{1,9}") {
        let body = [envelope.encode(), behind.into_bytes()].concat();
        prop_assert!(Envelope::decode(&body).is_err());
    }

    #[test]
    fn a_flipped_bit_is_refused_or_read_as_what_it_says(envelope in envelopes()) {
        let mut body = envelope.encode();
        for bit in 0..body.len() * 8 {
            body[bit / 8] ^= 1 << (bit % 8);
            check(&body);
            body[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn no_bytes_break_the_reader(body: Vec<u8>) {
        check(&body);
    }
}

/// The reader's depth is bounded: a body of brackets alone must not take the stack.
#[test]
fn deep_nesting_is_refused() {
    for bracket in ["[", "{\"a\":", "{\"payload\":["] {
        assert!(Envelope::decode(bracket.repeat(100_000).as_bytes()).is_err());
    }
}
