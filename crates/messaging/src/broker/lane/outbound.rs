//! What goes to the broker, from the lane and from lapin: whole frames one after another, whoever they are from.

use std::io::{self, Write};

use crate::broker::lane::frame::Frame;

/// What opens a connection, before any frame (AMQP 0-9-1, 4.2.2).
const PROTOCOL_HEADER_BYTES: usize = 8;

#[derive(Debug)]
pub(super) struct Outbound {
    queue: Vec<u8>,
    written: usize,
    /// lapin's bytes up to the next whole frame: it may cut one anywhere.
    from_lapin: Vec<u8>,
    /// What is left of the protocol header.
    header_bytes: usize,
    frame_max: usize,
    /// Set once the peer takes no more; what ended the connection is told by reading.
    broken: bool,
}

impl Outbound {
    pub(super) fn new(frame_max: usize) -> Self {
        Self {
            queue: Vec::new(),
            written: 0,
            from_lapin: Vec::new(),
            header_bytes: PROTOCOL_HEADER_BYTES,
            frame_max,
            broken: false,
        }
    }

    /// How many bytes the socket has not taken yet.
    pub(super) fn bytes(&self) -> usize {
        self.queue.len() - self.written
    }

    /// Where the lane appends whole frames.
    pub(super) fn queue(&mut self) -> &mut Vec<u8> {
        &mut self.queue
    }

    /// Takes what lapin writes, all of it.
    pub(super) fn take_from_lapin(&mut self, bytes: &[u8]) {
        let (header, frames) = bytes.split_at(self.header_bytes.min(bytes.len()));
        self.queue.extend_from_slice(header);
        self.header_bytes -= header.len();
        self.from_lapin.extend_from_slice(frames);
        let mut whole = 0;
        loop {
            match Frame::first(&self.from_lapin[whole..], self.frame_max) {
                Ok(Some(frame)) => whole += frame.bytes(),
                Ok(None) => break,
                // The broker will say what is wrong with it.
                Err(_) => {
                    whole = self.from_lapin.len();
                    break;
                }
            }
        }
        self.queue.extend(self.from_lapin.drain(..whole));
    }

    /// Writes what the socket takes; `false` when something is left.
    pub(super) fn flush(&mut self, mut socket: impl Write) -> bool {
        while self.bytes() > 0 && !self.broken {
            match socket.write(&self.queue[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.broken = true,
            }
        }
        self.queue.clear();
        self.written = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::lane::{
        frame::{BODY, append},
        outgoing,
    };

    const FRAME_MAX: usize = 4096;

    /// A socket that takes so many bytes and then no more for now.
    struct Slow {
        room: usize,
        taken: Vec<u8>,
    }

    impl Write for &mut Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = bytes.len().min(self.room);
            self.room -= count;
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_frame_that_lapin_has_not_finished_is_not_mixed_with_the_lanes() {
        let mut of_lapin = Vec::new();
        append(&mut of_lapin, BODY, 9, |out| out.extend([9; 50]));
        let mut of_the_lane = Vec::new();
        outgoing::ack(&mut of_the_lane, 3, 1, false);
        for cut in 1..of_lapin.len() {
            let mut outbound = Outbound::new(FRAME_MAX);
            outbound.take_from_lapin(b"AMQP");
            outbound.take_from_lapin(&[b"\0\0\x09\x01", &of_lapin[..cut]].concat());
            outbound.queue().extend(&of_the_lane);
            outbound.take_from_lapin(&of_lapin[cut..]);
            let expected = [b"AMQP\0\0\x09\x01", of_the_lane.as_slice(), &of_lapin].concat();
            assert_eq!(outbound.queue, expected);
        }
    }

    #[test]
    fn what_the_socket_does_not_take_at_once_is_written_later_and_once() {
        let mut outbound = Outbound::new(FRAME_MAX);
        let all: Vec<u8> = (0..100).collect();
        outbound.queue().extend(&all[..60]);
        let mut socket = Slow {
            room: 40,
            taken: Vec::new(),
        };
        assert!(!outbound.flush(&mut socket));
        assert_eq!(outbound.bytes(), 20);
        outbound.queue().extend(&all[60..]);
        socket.room = 100;
        assert!(outbound.flush(&mut socket));
        assert_eq!((outbound.bytes(), socket.taken), (0, all));
    }

    #[test]
    fn a_socket_that_is_gone_keeps_nobody_waiting() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut outbound = Outbound::new(FRAME_MAX);
        outbound.queue().extend([1; 60]);
        assert!(outbound.flush(Gone));
        assert_eq!(outbound.bytes(), 0);
    }
}
