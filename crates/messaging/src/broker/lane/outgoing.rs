//! What goes out by the lane: `basic.publish` with its content, `basic.ack`, `basic.reject` (AMQP 0-9-1, class 60).

use crate::broker::lane::frame::{BODY, HEADER, METHOD, OVERHEAD_BYTES, append, append_sized};

pub(super) const BASIC: u16 = 60;
pub(super) const ACK: u16 = 80;
const PUBLISH: u16 = 40;
const REJECT: u16 = 90;

/// `basic.publish`, the bit `mandatory`: a message that no queue takes comes back.
const MANDATORY: u8 = 1;

/// The properties by their bits (4.2.6.1); they are written from the highest bit on.
pub(super) const CONTENT_TYPE: u16 = 1 << 15;
pub(super) const CONTENT_ENCODING: u16 = 1 << 14;
pub(super) const HEADERS: u16 = 1 << 13;
const DELIVERY_MODE: u16 = 1 << 12;
const MESSAGE_ID: u16 = 1 << 7;
const TIMESTAMP: u16 = 1 << 6;
const APP_ID: u16 = 1 << 3;
/// Further bits follow, which class 60 has none of.
pub(super) const MORE_PROPERTIES: u16 = 1;

/// `delivery-mode`: kept over a restart of the broker.
const PERSISTENT: u8 = 2;

/// A field value that is a text of any length.
const LONG_STRING: u8 = b'S';

/// A message to be published: mandatory and persistent.
///
/// Exchange, key, ids, content type and names of headers take at most 255 bytes each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publish<'a> {
    pub(crate) exchange: &'a str,
    pub(crate) routing_key: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) message_id: &'a str,
    pub(crate) app_id: &'a str,
    /// Seconds since 1970.
    pub(crate) timestamp: u64,
    /// Names and texts of those that are there.
    pub(crate) headers: &'a [Option<(&'a str, &'a str)>],
    /// The body in two parts, so that nobody has to put it together.
    pub(crate) body: [&'a [u8]; 2],
}

impl Publish<'_> {
    /// Appends the frames, none larger than `frame_max`.
    pub(super) fn append(&self, out: &mut Vec<u8>, channel: u16, frame_max: usize) {
        let [mut head, mut tail] = self.body;
        let body_bytes = head.len() + tail.len();
        out.reserve(body_bytes + 512);
        append(out, METHOD, channel, |out| {
            method(out, PUBLISH);
            out.extend([0; 2]);
            short_string(out, self.exchange);
            short_string(out, self.routing_key);
            out.push(MANDATORY);
        });
        append(out, HEADER, channel, |out| {
            out.extend(BASIC.to_be_bytes());
            out.extend([0; 2]);
            out.extend((body_bytes as u64).to_be_bytes());
            self.properties(out);
        });
        let most = frame_max - OVERHEAD_BYTES;
        while !(head.is_empty() && tail.is_empty()) {
            let of_head = split_off_first(&mut head, most);
            let of_tail = split_off_first(&mut tail, most - of_head.len());
            append(out, BODY, channel, |out| {
                out.extend_from_slice(of_head);
                out.extend_from_slice(of_tail);
            });
        }
    }

    fn properties(&self, out: &mut Vec<u8>) {
        let present = CONTENT_TYPE | HEADERS | DELIVERY_MODE | MESSAGE_ID | TIMESTAMP | APP_ID;
        out.extend(present.to_be_bytes());
        short_string(out, self.content_type);
        append_sized(out, |out| {
            for (name, text) in self.headers.iter().flatten() {
                short_string(out, name);
                out.push(LONG_STRING);
                append_sized(out, |out| out.extend_from_slice(text.as_bytes()));
            }
        });
        out.push(PERSISTENT);
        short_string(out, self.message_id);
        out.extend(self.timestamp.to_be_bytes());
        short_string(out, self.app_id);
    }
}

/// Appends `basic.ack` of one delivery, or of all up to it.
pub(super) fn ack(out: &mut Vec<u8>, channel: u16, tag: u64, multiple: bool) {
    append(out, METHOD, channel, |out| {
        method(out, ACK);
        out.extend(tag.to_be_bytes());
        out.push(multiple.into());
    });
}

/// Appends `basic.reject`.
pub(super) fn reject(out: &mut Vec<u8>, channel: u16, tag: u64, requeue: bool) {
    append(out, METHOD, channel, |out| {
        method(out, REJECT);
        out.extend(tag.to_be_bytes());
        out.push(requeue.into());
    });
}

/// Takes up to `most` bytes from the front.
fn split_off_first<'a>(bytes: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (first, rest) = bytes.split_at(most.min(bytes.len()));
    *bytes = rest;
    first
}

fn method(out: &mut Vec<u8>, id: u16) {
    out.extend(BASIC.to_be_bytes());
    out.extend(id.to_be_bytes());
}

fn short_string(out: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).expect("a short string has at most 255 bytes");
    out.push(length);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use amq_protocol::frame::{AMQPFrame, parse_frame};
    use lapin::{
        BasicProperties,
        protocol::{AMQPClass, basic},
        types::{AMQPValue, FieldTable},
    };

    use super::*;

    fn parse(mut bytes: &[u8]) -> Vec<AMQPFrame> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let (rest, frame) = parse_frame(bytes).unwrap();
            frames.push(frame);
            bytes = rest;
        }
        frames
    }

    fn published(body: [&[u8]; 2], frame_max: usize) -> Vec<AMQPFrame> {
        let publish = Publish {
            exchange: "lab",
            routing_key: "work.message",
            content_type: "application/json",
            message_id: "id",
            app_id: "app",
            timestamp: 1_700_000_000,
            headers: &[
                Some(("traceparent", "00-1-2-01")),
                None,
                Some(("x-lab-tracer", "poison")),
            ],
            body,
        };
        let mut bytes = Vec::new();
        publish.append(&mut bytes, 3, frame_max);
        parse(&bytes)
    }

    #[test]
    fn a_publish_is_what_another_reader_of_the_protocol_takes_it_for() {
        let frames = published([b"lo", b"ad"], 4096);
        let mut headers = FieldTable::default();
        for (name, text) in [("traceparent", "00-1-2-01"), ("x-lab-tracer", "poison")] {
            headers.insert(name.into(), AMQPValue::LongString(text.into()));
        }
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_headers(headers)
            .with_delivery_mode(2)
            .with_message_id("id".into())
            .with_timestamp(1_700_000_000)
            .with_app_id("app".into());
        let publish = basic::Publish {
            exchange: "lab".into(),
            routing_key: "work.message".into(),
            mandatory: true,
            immediate: false,
        };
        assert_eq!(
            frames[0],
            AMQPFrame::Method(3, AMQPClass::Basic(basic::AMQPMethod::Publish(publish)))
        );
        let AMQPFrame::Header(3, header) = &frames[1] else {
            panic!("{:?} is no header", frames[1]);
        };
        assert_eq!((header.class_id, header.body_size), (60, 4));
        assert_eq!(header.properties, properties);
        assert_eq!(frames[2..], [AMQPFrame::Body(3, b"load".to_vec())]);
    }

    #[test]
    fn a_body_is_cut_into_frames_of_the_agreed_size() {
        let body: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        // The cut between head and tail lies in a frame, at its end, at the body's.
        let cases = [4096, 10_007, 10_008]
            .into_iter()
            .flat_map(|frame_max| [0, 170, 4088, 9000, 10_000].map(|cut| (frame_max, cut)));
        for (frame_max, cut) in cases {
            let (head, tail) = body.split_at(cut);
            let frames = published([head, tail], frame_max);
            let parts: Vec<&Vec<u8>> = frames[2..]
                .iter()
                .map(|frame| match frame {
                    AMQPFrame::Body(3, part) => part,
                    other => panic!("{other:?} is no body"),
                })
                .collect();
            assert!(parts.iter().all(|part| part.len() + 8 <= frame_max));
            assert_eq!(parts.len(), body.len().div_ceil(frame_max - 8));
            assert_eq!(
                parts.into_iter().flatten().copied().collect::<Vec<_>>(),
                body
            );
        }
        assert_eq!(
            published([b"", b""], 4096).len(),
            2,
            "an empty body has no frame"
        );
    }

    #[test]
    fn what_is_told_of_a_delivery_is_what_another_reader_takes_it_for() {
        for flag in [false, true] {
            let mut bytes = Vec::new();
            ack(&mut bytes, 3, 1 << 40, flag);
            reject(&mut bytes, 3, 1 << 40, flag);
            let acked = basic::AMQPMethod::Ack(basic::Ack {
                delivery_tag: 1 << 40,
                multiple: flag,
            });
            let rejected = basic::AMQPMethod::Reject(basic::Reject {
                delivery_tag: 1 << 40,
                requeue: flag,
            });
            let expected =
                [acked, rejected].map(|method| AMQPFrame::Method(3, AMQPClass::Basic(method)));
            assert_eq!(parse(&bytes), expected);
        }
    }
}
