//! The headers of a message, as they lie in its frame: a table of named values (AMQP 0-9-1, 4.2.5.5, with the types that
//! RabbitMQ gives them) that is looked through when something is asked for and never built.

use crate::broker::lane::{
    fields::Fields,
    outgoing::{CONTENT_ENCODING, CONTENT_TYPE, HEADERS, MORE_PROPERTIES},
};

/// The headers of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<u8>);

enum Value<'a> {
    Text(&'a [u8]),
    Number(Option<u64>),
    Other,
}

impl Headers {
    /// Those among a message's properties, as these lie in a content header (4.2.6.1); `None` when they are malformed.
    pub fn of_properties(properties: &[u8]) -> Option<Self> {
        let mut fields = Fields(properties);
        let present = fields.u16()?;
        if present & MORE_PROPERTIES != 0 {
            return None;
        }
        for earlier in [CONTENT_TYPE, CONTENT_ENCODING] {
            if present & earlier != 0 {
                fields.short()?;
            }
        }
        if present & HEADERS == 0 {
            return Some(Self::default());
        }
        fields.long().map(|table| Self(table.to_owned()))
    }

    /// The text of a header; `None` when there is none or it is of another type.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.find(name)? {
            Value::Text(text) => std::str::from_utf8(text).ok(),
            Value::Number(_) | Value::Other => None,
        }
    }

    /// The number of a header, of whatever width the broker chose; `None` when there is none, it is negative or no whole
    /// number.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.find(name)? {
            Value::Number(number) => number,
            Value::Text(_) | Value::Other => None,
        }
    }

    fn find(&self, name: &str) -> Option<Value<'_>> {
        let mut fields = Fields(&self.0);
        loop {
            let found = fields.short()? == name.as_bytes();
            let value = value(&mut fields)?;
            if found {
                return Some(value);
            }
        }
    }
}

fn value<'a>(fields: &mut Fields<'a>) -> Option<Value<'a>> {
    let unsigned = |number| Some(Value::Number(Some(number)));
    let signed = |number: i64| Some(Value::Number(number.try_into().ok()));
    let skipped = |bytes: Option<&[u8]>| bytes.map(|_| Value::Other);
    match fields.u8()? {
        b'S' => fields.long().map(Value::Text),
        b'b' => signed(i8::from_be_bytes(fields.array()?).into()),
        b's' => signed(i16::from_be_bytes(fields.array()?).into()),
        b'I' => signed(i32::from_be_bytes(fields.array()?).into()),
        b'l' => signed(i64::from_be_bytes(fields.array()?)),
        b'B' => unsigned(fields.u8()?.into()),
        b'u' => unsigned(fields.u16()?.into()),
        b'i' => unsigned(fields.u32()?.into()),
        b't' => skipped(fields.bytes(1)),
        b'f' => skipped(fields.bytes(4)),
        b'D' => skipped(fields.bytes(5)),
        b'd' | b'T' => skipped(fields.bytes(8)),
        b'A' | b'F' | b'x' => skipped(fields.long()),
        b'V' => Some(Value::Other),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, WriteContext, gen_frame};
    use lapin::{
        BasicProperties,
        types::{AMQPValue, FieldTable},
    };

    use super::*;

    /// Properties as another writer of the protocol has them in a content header.
    pub(crate) fn written(properties: BasicProperties) -> Vec<u8> {
        let header = AMQPContentHeader {
            class_id: 60,
            body_size: 0,
            properties,
        };
        let frame = AMQPFrame::Header(1, header);
        let (bytes, _) = gen_frame(&frame)(WriteContext::from(Vec::new()))
            .unwrap()
            .into_inner();
        // Before the properties: the frame's prefix, class, weight and size. Behind them: its end.
        bytes[7 + 12..bytes.len() - 1].to_owned()
    }

    /// Headers as another writer of the protocol has them.
    pub(crate) fn headers(values: &[(&str, AMQPValue)]) -> Headers {
        let mut table = FieldTable::default();
        for (name, value) in values {
            table.insert((*name).into(), value.clone());
        }
        let properties = BasicProperties::default()
            .with_content_type("text".into())
            .with_content_encoding("none".into())
            .with_headers(table)
            .with_message_id("id".into());
        Headers::of_properties(&written(properties)).unwrap()
    }

    #[test]
    fn a_value_of_any_type_is_passed_on_the_way_to_the_wanted_one() {
        let mut table = FieldTable::default();
        table.insert("deep".into(), AMQPValue::LongLongInt(1));
        let others = [
            AMQPValue::Boolean(true),
            AMQPValue::ShortShortInt(-1),
            AMQPValue::ShortShortUInt(1),
            AMQPValue::ShortInt(-1),
            AMQPValue::ShortUInt(1),
            AMQPValue::LongInt(-1),
            AMQPValue::LongUInt(1),
            AMQPValue::LongLongInt(-1),
            AMQPValue::Float(1.5),
            AMQPValue::Double(1.5),
            AMQPValue::DecimalValue(lapin::types::DecimalValue { scale: 1, value: 2 }),
            AMQPValue::Timestamp(1),
            AMQPValue::LongString("wanted".into()),
            AMQPValue::ByteArray(b"wanted".to_vec().into()),
            AMQPValue::FieldArray(vec![AMQPValue::Void].into()),
            AMQPValue::FieldTable(table),
            AMQPValue::Void,
        ];
        for other in others {
            let wanted = AMQPValue::LongString("found".into());
            let headers = headers(&[("other", other.clone()), ("wanted", wanted)]);
            assert_eq!(headers.text("wanted"), Some("found"), "behind {other:?}");
            assert_eq!(headers.text("absent"), None, "{other:?}");
        }
    }

    #[test]
    fn a_number_of_any_width_is_one_unless_it_is_negative() {
        for value in [
            AMQPValue::ShortShortInt(4),
            AMQPValue::ShortShortUInt(4),
            AMQPValue::ShortInt(4),
            AMQPValue::ShortUInt(4),
            AMQPValue::LongInt(4),
            AMQPValue::LongUInt(4),
            AMQPValue::LongLongInt(4),
        ] {
            assert_eq!(headers(&[("n", value)]).number("n"), Some(4));
        }
        for odd in [
            AMQPValue::LongInt(-1),
            AMQPValue::Boolean(true),
            AMQPValue::Timestamp(4),
            AMQPValue::LongString("4".into()),
        ] {
            assert_eq!(headers(&[("n", odd)]).number("n"), None);
        }
    }

    #[test]
    fn properties_without_headers_have_none() {
        let none = written(BasicProperties::default().with_app_id("app".into()));
        assert_eq!(Headers::of_properties(&none), Some(Headers::default()));
    }

    #[test]
    fn properties_that_end_too_early_are_malformed() {
        let mut table = FieldTable::default();
        table.insert("name".into(), AMQPValue::LongString("text".into()));
        let whole = written(BasicProperties::default().with_headers(table));
        for end in 0..whole.len() {
            assert_eq!(Headers::of_properties(&whole[..end]), None);
        }
        assert_eq!(Headers::of_properties(&[0, 1]), None, "more flags");
    }
}
