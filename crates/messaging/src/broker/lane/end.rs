//! The lane's end of the shared socket, which reads and writes for both while it is there.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use crate::broker::lane::{
    incoming::Arrival,
    moderation::Moderation,
    socket::{SharedSocket, register, wake},
};

/// Enough to keep the socket busy while the next messages are made.
const FULL_BYTES: usize = 512 << 10;

/// From here on more is taken, many messages at once rather than one for each that was written.
const LOW_BYTES: usize = FULL_BYTES / 2;

pub(super) struct LaneEnd {
    socket: Arc<SharedSocket>,
    moderation: Moderation,
}

impl LaneEnd {
    /// From the next frame on, the messages of this channel come here.
    pub(super) fn open(socket: Arc<SharedSocket>, channel: u16, pause: Duration) -> Self {
        socket.state().inbound.open_lane(channel);
        Self {
            socket,
            moderation: Moderation::new(pause),
        }
    }

    /// Lets `append` append whole frames to what is to be written.
    pub(super) fn queue(&self, append: impl FnOnce(&mut Vec<u8>)) {
        append(self.socket.state().outbound.queue());
    }

    /// How many bytes may be queued now; 0 until most of what is queued was written.
    pub(super) fn room_bytes(&self) -> usize {
        let bytes = self.socket.state().outbound.bytes();
        if bytes < LOW_BYTES {
            FULL_BYTES - bytes
        } else {
            0
        }
    }

    /// Writes what is queued; ready when something has arrived, or when there is room again if `wants_room`.
    pub(super) fn poll_arrivals(
        &mut self,
        wants_room: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Vec<Arrival>> {
        let Self { socket, moderation } = self;
        let mut state = socket.state();
        if !state.lane_reads {
            state.lane_reads = true;
            // It may wait for the socket.
            wake(&mut state.lapin);
        }
        register(&mut state.lane, cx);
        let written = socket.poll_flush(&mut state, cx).is_ready();
        let has_room = written || state.outbound.bytes() < LOW_BYTES;
        if !state.inbound.arrivals.is_empty() || (wants_room && has_room) {
            return Poll::Ready(std::mem::take(&mut state.inbound.arrivals));
        }
        loop {
            ready!(moderation.poll_pause(cx));
            if state.end.is_some() {
                return Poll::Pending;
            }
            if socket.read(&mut state) {
                moderation.read();
            } else if !moderation.pauses()
                && let Err(error) = ready!(socket.tcp.poll_readable(cx))
            {
                state.end = Some(Err(error));
            }
            if !state.inbound.for_lapin.is_empty() || state.end.is_some() {
                wake(&mut state.lapin);
            }
            if !state.inbound.arrivals.is_empty() {
                return Poll::Ready(std::mem::take(&mut state.inbound.arrivals));
            }
        }
    }
}

impl Drop for LaneEnd {
    fn drop(&mut self) {
        let mut state = self.socket.state();
        state.lane_reads = false;
        wake(&mut state.lapin);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
        pin::Pin,
        sync::atomic::{AtomicU32, Ordering},
        task::{Wake, Waker},
    };

    use async_io::{Timer, block_on};
    use futures_io::AsyncRead as _;

    use super::*;
    use crate::broker::lane::{
        LapinStream,
        frame::HEARTBEAT,
        incoming::tests::{CHANNEL, delivered, delivery, write},
    };

    const FRAME_MAX: usize = 128 << 10;
    const LONG: Duration = Duration::from_secs(3600);

    /// A shared socket, lapin's end of it, and the broker's.
    fn pair(pause: Duration) -> (LaneEnd, LapinStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stream = block_on(LapinStream::connect(address, FRAME_MAX)).unwrap();
        let (broker, _) = listener.accept().unwrap();
        broker.set_nodelay(true).unwrap();
        let lane = LaneEnd::open(stream.socket(), CHANNEL, pause);
        (lane, stream, broker)
    }

    fn message(tag: u64) -> Vec<u8> {
        write(&delivery(tag, &[b"load"]))
    }

    fn poll(lane: &mut LaneEnd, waker: &Waker) -> Poll<Vec<Arrival>> {
        lane.poll_arrivals(false, &mut Context::from_waker(waker))
    }

    /// Reads once, waiting for as long as it takes.
    fn arrivals(lane: &mut LaneEnd) -> Vec<Arrival> {
        block_on(std::future::poll_fn(|cx| lane.poll_arrivals(false, cx)))
    }

    /// lapin reads once, waiting for as long as it takes.
    fn lapin_reads(stream: &mut LapinStream) -> Vec<u8> {
        let mut buffer = [0; 4096];
        let read = block_on(std::future::poll_fn(|cx| {
            Pin::new(&mut *stream).poll_read(cx, &mut buffer)
        }));
        buffer[..read.unwrap()].to_vec()
    }

    /// lapin finds nothing to read, and is woken by `waker`.
    fn lapin_waits(stream: &mut LapinStream, waker: &Waker) {
        let mut cx = Context::from_waker(waker);
        assert!(
            Pin::new(stream)
                .poll_read(&mut cx, &mut [0; 64])
                .is_pending()
        );
    }

    /// Waits until the socket has this much to read.
    fn has_arrived(lane: &LaneEnd, bytes: usize) {
        let mut buffer = vec![0; bytes];
        while lane.socket.tcp.get_ref().peek(&mut buffer).unwrap_or(0) < bytes {
            std::thread::yield_now();
        }
    }

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counting() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    #[test]
    fn the_first_message_after_a_quiet_time_is_read_at_once() {
        let (mut lane, _stream, mut broker) = pair(LONG);
        assert!(poll(&mut lane, Waker::noop()).is_pending());
        broker.write_all(&message(1)).unwrap();
        assert_eq!(arrivals(&mut lane), [delivered(1, b"load")]);
    }

    #[test]
    fn many_messages_within_a_pause_wake_nobody_and_are_one_read() {
        let (mut lane, _stream, mut broker) = pair(LONG);
        assert!(poll(&mut lane, Waker::noop()).is_pending());
        broker.write_all(&message(1)).unwrap();
        assert_eq!(arrivals(&mut lane).len(), 1);
        let (count, waker) = counting();
        for tag in 2..=100 {
            assert!(
                poll(&mut lane, &waker).is_pending(),
                "an hour has not passed"
            );
            broker.write_all(&message(tag)).unwrap();
        }
        has_arrived(&lane, 99 * message(1).len());
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        lane.moderation.end_pause_by(Timer::after(Duration::ZERO));
        let expected: Vec<Arrival> = (2..=100).map(|tag| delivered(tag, b"load")).collect();
        assert_eq!(arrivals(&mut lane), expected);
    }

    #[test]
    fn what_is_not_the_lanes_wakes_lapin_which_finds_it() {
        let (mut lane, mut stream, mut broker) = pair(Duration::ZERO);
        let (count, waker) = counting();
        assert!(poll(&mut lane, Waker::noop()).is_pending());
        lapin_waits(&mut stream, &waker);
        broker.write_all(&HEARTBEAT).unwrap();
        broker.write_all(&message(1)).unwrap();
        assert_eq!(arrivals(&mut lane), [delivered(1, b"load")]);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(lapin_reads(&mut stream), HEARTBEAT);
    }

    #[test]
    fn what_lapin_read_before_the_lane_was_asked_is_not_lost() {
        let (mut lane, mut stream, mut broker) = pair(LONG);
        broker.write_all(&message(1)).unwrap();
        broker.write_all(&HEARTBEAT).unwrap();
        assert_eq!(lapin_reads(&mut stream), HEARTBEAT);
        assert_eq!(arrivals(&mut lane), [delivered(1, b"load")]);
    }

    #[test]
    fn lapin_reads_for_itself_once_the_lane_is_gone() {
        let (mut lane, mut stream, mut broker) = pair(Duration::ZERO);
        let (count, waker) = counting();
        assert!(poll(&mut lane, Waker::noop()).is_pending());
        lapin_waits(&mut stream, &waker);
        drop(lane);
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        broker.write_all(&HEARTBEAT).unwrap();
        assert_eq!(lapin_reads(&mut stream), HEARTBEAT);
    }

    #[test]
    fn the_end_of_the_connection_is_lapins_to_tell() {
        let (mut lane, mut stream, mut broker) = pair(Duration::ZERO);
        broker.write_all(&message(1)).unwrap();
        drop(broker);
        assert_eq!(arrivals(&mut lane), [delivered(1, b"load")]);
        has_ended(&mut lane);
        assert_eq!(lapin_reads(&mut stream), b"");
        assert!(poll(&mut lane, Waker::noop()).is_pending());
    }

    fn has_ended(lane: &mut LaneEnd) {
        block_on(std::future::poll_fn(|cx| {
            assert!(lane.poll_arrivals(false, cx).is_pending());
            let ended = lane.socket.state().end.is_some();
            if ended {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
    }

    #[test]
    fn a_full_socket_makes_room_for_half_before_more_is_taken() {
        let (mut lane, _stream, mut broker) = pair(Duration::ZERO);
        assert_eq!(lane.room_bytes(), FULL_BYTES);
        let mut queued = 0;
        while lane.room_bytes() > 0 {
            lane.queue(|out| out.resize(out.len() + LOW_BYTES, 1));
            queued += LOW_BYTES;
            assert!(poll(&mut lane, Waker::noop()).is_pending());
        }
        let reading = std::thread::spawn(move || {
            let mut taken = vec![0; queued];
            broker.read_exact(&mut taken).unwrap();
            taken
        });
        let nothing = block_on(std::future::poll_fn(|cx| lane.poll_arrivals(true, cx)));
        assert_eq!(nothing, []);
        assert!(lane.room_bytes() > FULL_BYTES - LOW_BYTES);
        while lane.room_bytes() < FULL_BYTES {
            block_on(std::future::poll_fn(|cx| {
                let _ = lane.poll_arrivals(false, cx);
                if lane.room_bytes() == FULL_BYTES {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }));
        }
        assert_eq!(reading.join().unwrap(), vec![1; queued]);
    }
}
