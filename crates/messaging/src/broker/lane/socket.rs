//! The socket of a connection, which lapin and the lane share: either writes whole frames, and one of them reads for both.

use std::{
    io,
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use async_io::Async;

use crate::broker::lane::{inbound::Inbound, outbound::Outbound};

/// How often lapin is told that the peer lives while all that arrives is the lane's.
const BEAT_EVERY: Duration = Duration::from_secs(1);

pub(in crate::broker) struct SharedSocket {
    pub(super) tcp: Async<TcpStream>,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) inbound: Inbound,
    pub(super) outbound: Outbound,
    /// Whether the lane reads for both.
    pub(super) lane_reads: bool,
    /// Who is to be told that there is something for lapin, or that it has to read for itself.
    pub(super) lapin: Option<Waker>,
    /// Who is to be told that something is left to be written.
    pub(super) lane: Option<Waker>,
    /// How reading ended; the error goes to lapin, once.
    pub(super) end: Option<io::Result<()>>,
    beaten_at: Instant,
}

impl SharedSocket {
    /// Connects, for frames of at most `frame_max` bytes.
    pub(super) async fn connect(address: SocketAddr, frame_max: usize) -> io::Result<Self> {
        let tcp = Async::<TcpStream>::connect(address).await?;
        tcp.get_ref().set_nodelay(true)?;
        let state = State {
            inbound: Inbound::new(frame_max),
            outbound: Outbound::new(frame_max),
            lane_reads: false,
            lapin: None,
            lane: None,
            end: None,
            beaten_at: Instant::now(),
        };
        Ok(Self {
            tcp,
            state: Mutex::new(state),
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection in both directions, for whoever waits for it.
    pub(in crate::broker) fn shut_down(&self) {
        // An error says that it is shut down already.
        let _ = self.tcp.get_ref().shutdown(Shutdown::Both);
    }

    /// Writes what waits to be written; ready when nothing does.
    pub(super) fn poll_flush(&self, state: &mut State, cx: &mut Context<'_>) -> Poll<()> {
        while !state.outbound.flush(self.tcp.get_ref()) {
            match self.tcp.poll_writable(cx) {
                Poll::Ready(Ok(())) => {}
                // A reactor that fails has nobody woken; reading tells of it.
                Poll::Ready(Err(_)) | Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    /// Reads once, if there is anything: `false` when there is nothing yet. The end of the connection is told to lapin, which
    /// says what it was.
    pub(super) fn read(&self, state: &mut State) -> bool {
        match state.inbound.read(self.tcp.get_ref()) {
            Ok(0) => state.end = Some(Ok(())),
            Ok(_) => {
                if state.lane_reads && state.beaten_at.elapsed() >= BEAT_EVERY {
                    state.beaten_at = Instant::now();
                    state.inbound.beat();
                }
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return false,
                io::ErrorKind::Interrupted => {}
                _ => state.end = Some(Err(error)),
            },
        }
        true
    }
}

pub(super) fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// Keeps the waker of this context.
pub(super) fn register(waker: &mut Option<Waker>, cx: &Context<'_>) {
    match waker {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waker = Some(cx.waker().clone()),
    }
}
