//! A socket that wakes its reader a bounded number of times a second, as network cards moderate their interrupts.
//!
//! RabbitMQ writes to a consumer's socket for nearly every message, and lapin has three threads to wake for what arrives: the
//! reactor's, its own, and the consumer's. That is most of what a delivery costs while messages come one by one, and next to
//! nothing when they come by the dozen. After a read that woke somebody, what arrives within `pause` is therefore read
//! together. A socket that was quiet for longer is read at once, so that a message now and then is not delayed.

use std::{
    io::{self, IoSlice, IoSliceMut, Read as _},
    net::{SocketAddr, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use async_io::{Async, Timer};
use futures_io::{AsyncRead, AsyncWrite};

/// A TCP connection whose reads come in batches.
pub(super) struct ModeratedStream {
    socket: Async<TcpStream>,
    pause: Duration,
    /// When the reader may be woken again.
    wake_at: Instant,
    /// Set while it is not yet that time.
    timer: Option<Timer>,
    /// Whether the reader has waited since the last read.
    waited: bool,
}

impl ModeratedStream {
    pub(super) async fn connect(address: SocketAddr, pause: Duration) -> io::Result<Self> {
        let socket = Async::<TcpStream>::connect(address).await?;
        socket.get_ref().set_nodelay(true)?;
        Ok(Self {
            socket,
            pause,
            wake_at: Instant::now(),
            timer: None,
            waited: false,
        })
    }

    fn poll_with(
        &mut self,
        cx: &mut Context<'_>,
        mut read: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(timer) = &mut self.timer {
                ready!(Pin::new(timer).poll(cx));
                self.timer = None;
            }
            match read(self.socket.get_ref()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    if std::mem::take(&mut self.waited) {
                        self.wake_at = Instant::now() + self.pause;
                    }
                    return Poll::Ready(result);
                }
            }
            self.waited = true;
            if Instant::now() < self.wake_at {
                self.timer = Some(Timer::at(self.wake_at));
            } else {
                ready!(self.socket.poll_readable(cx))?;
            }
        }
    }
}

impl AsFd for ModeratedStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsyncRead for ModeratedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |mut socket| socket.read(buffer))
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |mut socket| socket.read_vectored(buffers))
    }
}

impl AsyncWrite for ModeratedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, buffers)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        net::TcpListener,
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering},
        },
        task::{Wake, Waker},
    };

    use async_io::block_on;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// A stream, and the peer's end of it.
    fn pair(pause: Duration) -> (ModeratedStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stream = block_on(ModeratedStream::connect(address, pause)).unwrap();
        let (peer, _) = listener.accept().unwrap();
        peer.set_nodelay(true).unwrap();
        (stream, peer)
    }

    fn poll(stream: &mut ModeratedStream, waker: &Waker) -> Poll<io::Result<usize>> {
        let mut buffer = [0; 4096];
        Pin::new(stream).poll_read(&mut Context::from_waker(waker), &mut buffer)
    }

    /// Reads once, waiting for as long as it takes.
    fn read(stream: &mut ModeratedStream) -> usize {
        let mut buffer = [0; 4096];
        block_on(std::future::poll_fn(|cx| {
            Pin::new(&mut *stream).poll_read(cx, &mut buffer)
        }))
        .unwrap()
    }

    #[test]
    fn the_first_bytes_after_a_quiet_time_are_read_at_once() {
        let (mut stream, mut peer) = pair(LONG);
        assert!(poll(&mut stream, Waker::noop()).is_pending());
        assert!(
            stream.timer.is_none(),
            "it waits for the socket, not for a time"
        );
        peer.write_all(b"first").unwrap();
        assert_eq!(read(&mut stream), 5);
    }

    #[test]
    fn what_follows_within_the_pause_waits_for_its_end() {
        let (mut stream, mut peer) = pair(LONG);
        assert!(poll(&mut stream, Waker::noop()).is_pending());
        peer.write_all(b"first").unwrap();
        assert_eq!(read(&mut stream), 5);
        assert!(poll(&mut stream, Waker::noop()).is_pending());
        peer.write_all(b"second").unwrap();
        assert!(poll(&mut stream, Waker::noop()).is_pending());
        assert!(stream.timer.is_some(), "an hour has not passed");

        stream.timer = Some(Timer::after(Duration::ZERO));
        assert_eq!(read(&mut stream), 6);
    }

    #[test]
    fn what_is_there_already_is_read_without_a_pause() {
        let (mut stream, mut peer) = pair(LONG);
        peer.write_all(&[1; 8192]).unwrap();
        let mut read_bytes = 0;
        while read_bytes < 8192 {
            read_bytes += read(&mut stream);
        }
    }

    #[test]
    fn many_writes_within_a_pause_wake_nobody_and_are_one_read() {
        struct Count(AtomicU32);
        impl Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }

        let (mut stream, mut peer) = pair(LONG);
        assert!(poll(&mut stream, Waker::noop()).is_pending());
        peer.write_all(b"first").unwrap();
        assert_eq!(read(&mut stream), 5);
        let count = Arc::new(Count(AtomicU32::new(0)));
        let waker = Waker::from(Arc::clone(&count));
        for _ in 0..300 {
            assert!(poll(&mut stream, &waker).is_pending());
            peer.write_all(b"x").unwrap();
        }
        assert_eq!(count.0.load(Ordering::SeqCst), 0);
        while stream.socket.get_ref().peek(&mut [0; 300]).unwrap() < 300 {
            std::thread::yield_now();
        }
        stream.timer = Some(Timer::after(Duration::ZERO));
        assert_eq!(read(&mut stream), 300);
    }

    #[test]
    fn the_end_of_the_connection_is_read_like_any_byte() {
        let (mut stream, peer) = pair(Duration::ZERO);
        assert!(poll(&mut stream, Waker::noop()).is_pending());
        drop(peer);
        assert_eq!(read(&mut stream), 0);
    }
}
