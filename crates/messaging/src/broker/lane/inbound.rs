//! What the broker sent, cut into frames: those of the lane are read here, all others are kept for lapin as they are.

use std::{
    collections::VecDeque,
    io::{self, Read},
};

use crate::broker::lane::{
    frame::{Frame, HEARTBEAT, OVERHEAD_BYTES},
    incoming::{Arrival, Malformed, Reader, Taken},
};

#[derive(Debug)]
pub(super) struct Inbound {
    /// What was read from the socket and is no whole frame yet.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    frame_max: usize,
    /// The channel whose messages are the lane's; 0 while there is no lane.
    channel: u16,
    reader: Reader,
    /// Set once the peer has sent what is no frame: lapin gets everything and judges it.
    unframed: bool,
    pub(super) for_lapin: VecDeque<u8>,
    pub(super) arrivals: Vec<Arrival>,
}

impl Inbound {
    /// Of a connection whose frames are no larger than `frame_max`.
    pub(super) fn new(frame_max: usize) -> Self {
        Self {
            // For what arrives while nobody reads, and always for one frame that is not whole.
            buffer: vec![0; 2 * frame_max],
            start: 0,
            end: 0,
            frame_max,
            channel: 0,
            reader: Reader::default(),
            unframed: false,
            for_lapin: VecDeque::new(),
            arrivals: Vec::new(),
        }
    }

    /// From the next frame on, the messages of this channel are the lane's.
    pub(super) fn open_lane(&mut self, channel: u16) {
        self.channel = channel;
    }

    /// Reads once and sorts what is whole. Returns how many bytes there were, 0 at the end of the connection.
    pub(super) fn read(&mut self, mut socket: impl Read) -> io::Result<usize> {
        self.make_room();
        let read = socket.read(&mut self.buffer[self.end..])?;
        self.end += read;
        self.sort()
            .map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed))?;
        Ok(read)
    }

    /// Lets lapin see that the peer lives, which it knows by nothing but the bytes that reach it.
    pub(super) fn beat(&mut self) {
        if !self.unframed {
            self.for_lapin.extend(HEARTBEAT);
        }
    }

    /// A frame that is not whole moves to the front when there is too little room behind it.
    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len() - self.start < self.frame_max + OVERHEAD_BYTES {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    fn sort(&mut self) -> Result<(), Malformed> {
        loop {
            let bytes = &self.buffer[self.start..self.end];
            if self.unframed {
                self.for_lapin.extend(bytes);
                self.start = self.end;
                return Ok(());
            }
            match Frame::first(bytes, self.frame_max) {
                Err(_) => self.unframed = true,
                Ok(None) => return Ok(()),
                Ok(Some(frame)) => {
                    let whole = &bytes[..frame.bytes()];
                    let taken = if frame.channel == self.channel {
                        self.reader.take(frame)?
                    } else {
                        Taken::NotOurs
                    };
                    match taken {
                        Taken::NotOurs => self.for_lapin.extend(whole),
                        Taken::Unfinished => {}
                        Taken::Whole(arrival) => self.arrivals.push(arrival),
                    }
                    self.start += whole.len();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use amq_protocol::frame::AMQPFrame;
    use lapin::protocol::basic;

    use super::*;
    use crate::broker::lane::{
        incoming::tests::{CHANNEL, delivered, delivery, method, write},
        outgoing,
    };

    const FRAME_MAX: usize = 4096;

    /// Lets the bytes arrive in pieces of random sizes.
    fn receive(inbound: &mut Inbound, mut bytes: &[u8], random: &mut fastrand::Rng) {
        while !bytes.is_empty() {
            let piece = &bytes[..random.usize(1..=bytes.len().min(5000))];
            let read = inbound.read(piece).unwrap();
            assert_ne!(read, 0, "there is always room to go on");
            bytes = &bytes[read..];
        }
    }

    #[test]
    fn messages_are_read_and_all_else_is_lapins_byte_for_byte_however_it_is_cut() {
        let body: Vec<u8> = (0..=255).cycle().take(9000).collect();
        let parts: Vec<&[u8]> = body.chunks(FRAME_MAX - OVERHEAD_BYTES).collect();
        let cancel = method(basic::AMQPMethod::CancelOk(basic::CancelOk {
            consumer_tag: "lab-consumer".into(),
        }));
        let others = [
            AMQPFrame::Heartbeat,
            cancel,
            AMQPFrame::Body(9, body[..64].to_vec()),
        ];
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut sent, mut for_lapin, mut expected) = (Vec::new(), Vec::new(), Vec::new());
            for tag in 1..200 {
                if random.u8(..) < 64 {
                    let other = write(&[others[random.usize(..others.len())].clone()]);
                    sent.extend(&other);
                    for_lapin.extend(other);
                }
                let (parts, whole) = if random.u8(..) < 32 {
                    (parts.as_slice(), body.as_slice())
                } else {
                    (&[b"load".as_slice()][..], b"load".as_slice())
                };
                sent.extend(write(&delivery(tag, parts)));
                expected.push(delivered(tag, whole));
            }
            let mut inbound = Inbound::new(FRAME_MAX);
            inbound.open_lane(CHANNEL);
            receive(&mut inbound, &sent, &mut random);
            assert_eq!(inbound.arrivals, expected, "seed {seed}");
            assert_eq!(inbound.for_lapin, for_lapin, "seed {seed}");
        }
    }

    #[test]
    fn without_a_lane_everything_is_lapins() {
        let sent = write(&delivery(1, &[b"load"]));
        let mut inbound = Inbound::new(FRAME_MAX);
        receive(&mut inbound, &sent, &mut fastrand::Rng::with_seed(1));
        assert_eq!(inbound.for_lapin, sent);
        assert_eq!(inbound.arrivals, []);
    }

    #[test]
    fn what_is_no_frame_is_for_lapin_to_judge_and_all_behind_it() {
        let mut sent = write(&[AMQPFrame::Heartbeat]);
        // A broker that wants another version of the protocol says so with a header of its own.
        sent.extend(b"AMQP\0\0\x09\x01");
        sent.extend(write(&delivery(1, &[b"load"])));
        let mut inbound = Inbound::new(FRAME_MAX);
        inbound.open_lane(CHANNEL);
        receive(&mut inbound, &sent, &mut fastrand::Rng::with_seed(2));
        inbound.beat();
        assert_eq!(
            inbound.for_lapin, sent,
            "and no heartbeat in the midst of it"
        );
        assert_eq!(inbound.arrivals, []);
    }

    #[test]
    fn a_malformed_message_is_an_error_that_says_so() {
        let mut sent = Vec::new();
        outgoing::ack(&mut sent, CHANNEL, 1, true);
        // One byte less, and the size that says so.
        sent.remove(11);
        sent[6] -= 1;
        let mut inbound = Inbound::new(FRAME_MAX);
        inbound.open_lane(CHANNEL);
        let error = inbound.read(sent.as_slice()).unwrap_err();
        assert_eq!(error.to_string(), "the broker sent a malformed confirm");
    }
}
