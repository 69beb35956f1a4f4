//! Any value that a header can have: every type of AMQP 0-9-1's field table, nested.

use lapin::types::{AMQPValue, FieldArray, FieldTable};
use proptest::prelude::*;

fn plain() -> impl Strategy<Value = AMQPValue> {
    prop_oneof![
        any::<bool>().prop_map(AMQPValue::Boolean),
        any::<i8>().prop_map(AMQPValue::ShortShortInt),
        any::<u8>().prop_map(AMQPValue::ShortShortUInt),
        any::<i16>().prop_map(AMQPValue::ShortInt),
        any::<u16>().prop_map(AMQPValue::ShortUInt),
        any::<i32>().prop_map(AMQPValue::LongInt),
        any::<u32>().prop_map(AMQPValue::LongUInt),
        any::<i64>().prop_map(AMQPValue::LongLongInt),
        any::<f32>().prop_map(AMQPValue::Float),
        any::<f64>().prop_map(AMQPValue::Double),
        any::<u64>().prop_map(AMQPValue::Timestamp),
        "\\PC{0,60}".prop_map(|text| AMQPValue::ShortString(text.as_str().into())),
        any::<Vec<u8>>().prop_map(|bytes| AMQPValue::LongString(bytes.into())),
        any::<Vec<u8>>().prop_map(|bytes| AMQPValue::ByteArray(bytes.into())),
        Just(AMQPValue::Void),
    ]
}

fn table(fields: Vec<(String, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in fields {
        table.insert(name.as_str().into(), value);
    }
    table
}

/// A value of any type.
pub fn any_value() -> impl Strategy<Value = AMQPValue> {
    plain().prop_recursive(3, 24, 4, |inner| {
        let named = prop::collection::vec(("[a-z-]{1,9}", inner.clone()), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4)
                .prop_map(|values| AMQPValue::FieldArray(FieldArray::from(values))),
            named.prop_map(|fields| AMQPValue::FieldTable(table(fields))),
        ]
    })
}
