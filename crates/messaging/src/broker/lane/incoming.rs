//! What comes in by the lane: `basic.deliver` and `basic.return` with their contents, `basic.ack` and `basic.nack` of what
//! was published (AMQP 0-9-1, class 60, and RabbitMQ's publisher confirms). All else is for lapin.

use crate::broker::lane::{
    fields::Fields,
    frame::{BODY, Frame, HEADER, METHOD},
    headers::Headers,
    outgoing::{ACK, BASIC},
};

const RETURN: u16 = 50;
const DELIVER: u16 = 60;
const NACK: u16 = 120;

/// The most that is reserved for a body before any of it is there.
const TRUSTED_BODY_BYTES: usize = 1 << 20;

/// What the broker sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Arrival {
    /// A message for the consumer.
    Delivery(Delivery),
    /// A message that no queue took; its [`Answer`] follows.
    Returned(Content),
    /// What became of published messages.
    Answer(Answer),
}

/// `basic.deliver`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Delivery {
    /// Its number on the channel, from 1.
    pub(crate) tag: u64,
    /// Whether the broker has delivered it before, to anybody.
    pub(crate) redelivered: bool,
    pub(crate) content: Content,
}

/// A message's headers and body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Content {
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
}

/// `basic.ack` or `basic.nack` of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The publish's number on the channel, from 1.
    pub(crate) tag: u64,
    /// Whether all before it are answered, too.
    pub(crate) multiple: bool,
    /// Whether the broker has taken it.
    pub(crate) acked: bool,
}

/// Bytes that are not what the protocol has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker sent a malformed {0}")]
pub(super) struct Malformed(&'static str);

/// Reads the frames of one channel.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The message whose header and body are to come.
    unfinished: Option<Unfinished>,
}

#[derive(Debug)]
struct Unfinished {
    kind: Kind,
    /// Absent until the header is there.
    content: Option<(Content, usize)>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Delivery { tag: u64, redelivered: bool },
    Returned,
}

/// What a frame was.
#[derive(Debug, PartialEq)]
pub(super) enum Taken {
    /// Not the lane's.
    NotOurs,
    /// The lane's, and more has to come.
    Unfinished,
    /// The last of this.
    Whole(Arrival),
}

impl Reader {
    /// Takes the channel's next frame.
    pub(super) fn take(&mut self, frame: Frame<'_>) -> Result<Taken, Malformed> {
        match frame.kind {
            METHOD if self.unfinished.is_none() => self.method(frame.payload),
            HEADER if self.unfinished.is_some() => self.header(frame.payload),
            BODY if self.unfinished.is_some() => self.body(frame.payload),
            _ if self.unfinished.is_some() => Err(Malformed("content")),
            _ => Ok(Taken::NotOurs),
        }
    }

    fn method(&mut self, payload: &[u8]) -> Result<Taken, Malformed> {
        let mut fields = Fields(payload);
        let (Some(BASIC), Some(method)) = (fields.u16(), fields.u16()) else {
            return Ok(Taken::NotOurs);
        };
        let kind = match method {
            ACK | NACK => {
                let answer = answer(&mut fields, method).ok_or(Malformed("confirm"))?;
                return Ok(Taken::Whole(Arrival::Answer(answer)));
            }
            DELIVER => deliver(&mut fields).ok_or(Malformed("basic.deliver"))?,
            RETURN => Kind::Returned,
            _ => return Ok(Taken::NotOurs),
        };
        self.unfinished = Some(Unfinished {
            kind,
            content: None,
        });
        Ok(Taken::Unfinished)
    }

    fn header(&mut self, payload: &[u8]) -> Result<Taken, Malformed> {
        let malformed = Malformed("content header");
        let mut fields = Fields(payload);
        let (class, _weight) = (fields.u16(), fields.u16());
        let body_bytes = fields.u64().and_then(|bytes| usize::try_from(bytes).ok());
        let (Some(BASIC), Some(body_bytes)) = (class, body_bytes) else {
            return Err(malformed);
        };
        let content = Content {
            headers: Headers::of_properties(fields.0).ok_or(malformed)?,
            body: Vec::with_capacity(body_bytes.min(TRUSTED_BODY_BYTES)),
        };
        match &mut self.unfinished {
            Some(unfinished) if unfinished.content.is_none() => {
                unfinished.content = Some((content, body_bytes));
            }
            _ => return Err(malformed),
        }
        Ok(self.finish())
    }

    fn body(&mut self, part: &[u8]) -> Result<Taken, Malformed> {
        match &mut self.unfinished {
            Some(Unfinished {
                content: Some((content, body_bytes)),
                ..
            }) if content.body.len() + part.len() <= *body_bytes => {
                content.body.extend_from_slice(part);
            }
            _ => return Err(Malformed("body")),
        }
        Ok(self.finish())
    }

    /// The message, if all of it is there.
    fn finish(&mut self) -> Taken {
        match self.unfinished.take() {
            Some(Unfinished {
                kind,
                content: Some((content, body_bytes)),
            }) if content.body.len() == body_bytes => Taken::Whole(match kind {
                Kind::Delivery { tag, redelivered } => Arrival::Delivery(Delivery {
                    tag,
                    redelivered,
                    content,
                }),
                Kind::Returned => Arrival::Returned(content),
            }),
            unfinished => {
                self.unfinished = unfinished;
                Taken::Unfinished
            }
        }
    }
}

fn answer(fields: &mut Fields<'_>, method: u16) -> Option<Answer> {
    Some(Answer {
        tag: fields.u64()?,
        multiple: fields.u8()? & 1 == 1,
        acked: method == ACK,
    })
}

fn deliver(fields: &mut Fields<'_>) -> Option<Kind> {
    let _consumer_tag = fields.short()?;
    Some(Kind::Delivery {
        tag: fields.u64()?,
        redelivered: fields.u8()? & 1 == 1,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, WriteContext, gen_frame};
    use lapin::{
        BasicProperties,
        protocol::{AMQPClass, basic, channel},
        types::{AMQPValue, FieldTable},
    };

    use super::*;
    use crate::broker::lane::headers::tests::headers;

    pub(in crate::broker::lane) const CHANNEL: u16 = 3;

    /// Frames as another writer of the protocol has them.
    pub(in crate::broker::lane) fn write(frames: &[AMQPFrame]) -> Vec<u8> {
        let write = |bytes, frame| {
            let written = gen_frame(frame)(WriteContext::from(bytes)).unwrap();
            written.into_inner().0
        };
        frames.iter().fold(Vec::new(), write)
    }

    pub(in crate::broker::lane) fn method(method: basic::AMQPMethod) -> AMQPFrame {
        AMQPFrame::Method(CHANNEL, AMQPClass::Basic(method))
    }

    fn header(body_size: u64) -> AMQPFrame {
        let mut table = FieldTable::default();
        table.insert("name".into(), AMQPValue::LongString("text".into()));
        AMQPFrame::Header(
            CHANNEL,
            AMQPContentHeader {
                class_id: 60,
                body_size,
                properties: BasicProperties::default().with_headers(table),
            },
        )
    }

    /// A delivery whose body comes in these parts.
    pub(in crate::broker::lane) fn delivery(tag: u64, parts: &[&[u8]]) -> Vec<AMQPFrame> {
        let deliver = basic::Deliver {
            consumer_tag: "lab-consumer".into(),
            delivery_tag: tag,
            redelivered: tag.is_multiple_of(2),
            exchange: "lab".into(),
            routing_key: "work.message".into(),
        };
        with_content(basic::AMQPMethod::Deliver(deliver), parts)
    }

    fn with_content(start: basic::AMQPMethod, parts: &[&[u8]]) -> Vec<AMQPFrame> {
        let size: usize = parts.iter().map(|part| part.len()).sum();
        let mut frames = vec![method(start), header(size as u64)];
        frames.extend(
            parts
                .iter()
                .map(|part| AMQPFrame::Body(CHANNEL, part.to_vec())),
        );
        frames
    }

    pub(in crate::broker::lane) fn delivered(tag: u64, body: &[u8]) -> Arrival {
        Arrival::Delivery(Delivery {
            tag,
            redelivered: tag.is_multiple_of(2),
            content: content(body),
        })
    }

    fn content(body: &[u8]) -> Content {
        let text = AMQPValue::LongString("text".into());
        Content {
            headers: headers(&[("name", text)]),
            body: body.to_vec(),
        }
    }

    fn read(frames: &[AMQPFrame]) -> Result<Vec<Arrival>, Malformed> {
        let bytes = write(frames);
        let mut bytes = bytes.as_slice();
        let mut reader = Reader::default();
        let mut arrivals = Vec::new();
        while let Some(frame) = Frame::first(bytes, 4096).unwrap() {
            if let Taken::Whole(arrival) = reader.take(frame)? {
                arrivals.push(arrival);
            }
            bytes = &bytes[frame.bytes()..];
        }
        Ok(arrivals)
    }

    #[test]
    fn a_delivery_is_whole_with_the_last_part_of_its_body() {
        let parts: [&[&[u8]]; 3] = [&[], &[b"load"], &[b"lo", b"a", b"d"]];
        for (tag, parts) in (1..).zip(parts) {
            let frames = delivery(tag, parts);
            assert_eq!(read(&frames), Ok(vec![delivered(tag, &parts.concat())]));
            assert_eq!(read(&frames[..frames.len() - 1]), Ok(Vec::new()));
        }
    }

    #[test]
    fn a_return_and_the_confirm_behind_it_come_in_this_order() {
        let returned = basic::Return {
            reply_code: 312,
            reply_text: "NO_ROUTE".into(),
            exchange: "lab".into(),
            routing_key: "work.message".into(),
        };
        let mut frames = with_content(basic::AMQPMethod::Return(returned), &[b"load"]);
        frames.push(method(basic::AMQPMethod::Ack(basic::Ack {
            delivery_tag: 7,
            multiple: true,
        })));
        frames.push(method(basic::AMQPMethod::Nack(basic::Nack {
            delivery_tag: 1 << 40,
            multiple: false,
            requeue: true,
        })));
        let answer = |tag, multiple, acked| {
            Arrival::Answer(Answer {
                tag,
                multiple,
                acked,
            })
        };
        let expected = vec![
            Arrival::Returned(content(b"load")),
            answer(7, true, true),
            answer(1 << 40, false, false),
        ];
        assert_eq!(read(&frames), Ok(expected));
    }

    #[test]
    fn what_is_no_message_is_left_to_lapin() {
        let others = [
            method(basic::AMQPMethod::CancelOk(basic::CancelOk {
                consumer_tag: "lab-consumer".into(),
            })),
            method(basic::AMQPMethod::QosOk(basic::QosOk {})),
            AMQPFrame::Method(
                CHANNEL,
                AMQPClass::Channel(channel::AMQPMethod::OpenOk(channel::OpenOk {})),
            ),
        ];
        for other in others {
            let bytes = write(std::slice::from_ref(&other));
            let frame = Frame::first(&bytes, 4096).unwrap().unwrap();
            assert_eq!(
                Reader::default().take(frame),
                Ok(Taken::NotOurs),
                "{other:?}"
            );
        }
    }

    #[test]
    fn content_that_does_not_fit_its_header_is_malformed() {
        let whole = delivery(1, &[b"load"]);
        let too_long = AMQPFrame::Body(CHANNEL, b"overload".to_vec());
        let cases: [Vec<AMQPFrame>; 4] = [
            vec![whole[0].clone(), whole[2].clone()],
            vec![whole[0].clone(), whole[1].clone(), whole[1].clone()],
            vec![whole[0].clone(), whole[1].clone(), too_long],
            vec![whole[0].clone(), whole[0].clone()],
        ];
        for frames in cases {
            assert!(read(&frames).is_err(), "{frames:?}");
        }
    }

    #[test]
    fn a_method_that_ends_too_early_is_malformed() {
        let ack = basic::Ack {
            delivery_tag: 7,
            multiple: true,
        };
        for whole in [
            delivery(1, &[]).swap_remove(0),
            method(basic::AMQPMethod::Ack(ack)),
        ] {
            let bytes = write(&[whole]);
            let frame = Frame::first(&bytes, 4096).unwrap().unwrap();
            // Exchange and key of a delivery are not looked at.
            for end in 4..frame.payload.len().min(26) {
                let cut = Frame {
                    payload: &frame.payload[..end],
                    ..frame
                };
                assert!(Reader::default().take(cut).is_err(), "{end}");
            }
        }
    }
}
