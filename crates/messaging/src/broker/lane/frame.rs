//! Frames as they lie on the wire (AMQP 0-9-1, 2.3.5 and 4.2): type, channel, size, that many bytes, and an end octet.

/// A frame of a method.
pub(super) const METHOD: u8 = 1;
/// A frame of a content header: size and properties.
pub(super) const HEADER: u8 = 2;
/// A frame of a part of a body.
pub(super) const BODY: u8 = 3;

/// What lies before a frame's payload.
const PREFIX_BYTES: usize = 7;
/// What each frame takes besides its payload.
pub(super) const OVERHEAD_BYTES: usize = PREFIX_BYTES + 1;

const END: u8 = 0xce;

/// A whole heartbeat, which says nothing but that its sender lives.
pub(super) const HEARTBEAT: [u8; OVERHEAD_BYTES] = [8, 0, 0, 0, 0, 0, 0, END];

/// A whole frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) kind: u8,
    pub(super) channel: u16,
    pub(super) payload: &'a [u8],
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoFrame;

impl<'a> Frame<'a> {
    /// The frame at the beginning of `bytes`; `None` while it is not whole.
    pub(super) fn first(bytes: &'a [u8], frame_max: usize) -> Result<Option<Self>, NoFrame> {
        let Some((&prefix, rest)) = bytes.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let [kind, channel @ .., s0, s1, s2, s3] = prefix;
        let size = usize::try_from(u32::from_be_bytes([s0, s1, s2, s3])).map_err(|_| NoFrame)?;
        if size > frame_max {
            return Err(NoFrame);
        }
        match (rest.get(..size), rest.get(size)) {
            (Some(payload), Some(&END)) => Ok(Some(Self {
                kind,
                channel: u16::from_be_bytes(channel),
                payload,
            })),
            (_, Some(_)) => Err(NoFrame),
            (_, None) => Ok(None),
        }
    }

    /// How many bytes the whole frame takes.
    pub(super) fn bytes(&self) -> usize {
        self.payload.len() + OVERHEAD_BYTES
    }
}

/// Appends a frame whose payload is what `write` appends.
pub(super) fn append(out: &mut Vec<u8>, kind: u8, channel: u16, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    out.extend(channel.to_be_bytes());
    append_sized(out, write);
    out.push(END);
}

/// Appends what `write` appends with its size before it, in four bytes.
pub(super) fn append_sized(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let size_at = out.len();
    out.extend([0; 4]);
    let start = out.len();
    write(out);
    let size = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[size_at..start].copy_from_slice(&size.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_is_the_first_frame_once_it_is_whole() {
        let mut bytes = Vec::new();
        append(&mut bytes, BODY, 7, |out| out.extend(b"load"));
        for missing in 1..=bytes.len() {
            let cut = &bytes[..bytes.len() - missing];
            assert_eq!(Frame::first(cut, 4), Ok(None));
        }
        bytes.extend(HEARTBEAT);
        let frame = Frame::first(&bytes, 4).unwrap().unwrap();
        let expected = Frame {
            kind: BODY,
            channel: 7,
            payload: b"load",
        };
        assert_eq!(frame, expected);
        assert_eq!(&bytes[frame.bytes()..], HEARTBEAT);
    }

    #[test]
    fn a_frame_that_is_too_large_or_has_no_end_is_none() {
        let mut bytes = Vec::new();
        append(&mut bytes, BODY, 7, |out| out.extend(b"load"));
        assert_eq!(Frame::first(&bytes, 3), Err(NoFrame));
        *bytes.last_mut().unwrap() = 0;
        assert_eq!(Frame::first(&bytes, 4), Err(NoFrame));
    }
}
