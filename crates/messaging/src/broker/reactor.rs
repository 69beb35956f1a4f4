//! lapin's way to sockets and time: tokio's, but for the sockets, which it shares with the lane of the messages.

use std::{
    future::Future,
    io::{self, Read, Write},
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd},
    time::{Duration, Instant},
};

use async_rs::{Runtime, Tokio, traits::Reactor, util::RuntimeParts};
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream;

use crate::broker::lane::LapinStream;

/// What lapin runs a connection on.
pub(super) type BrokerRuntime = Runtime<RuntimeParts<Tokio, SharingReactor>>;

/// The current tokio runtime, with shared sockets for frames of at most `frame_max` bytes.
pub(super) fn runtime(frame_max: usize) -> BrokerRuntime {
    let tokio = Tokio::current();
    let reactor = SharingReactor {
        tokio: tokio.clone(),
        frame_max,
    };
    Runtime::new(RuntimeParts::new(tokio, reactor))
}

#[derive(Clone, Debug)]
pub(super) struct SharingReactor {
    tokio: Tokio,
    frame_max: usize,
}

impl Reactor for SharingReactor {
    type TcpStream = LapinStream;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.tokio.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.tokio.sleep(duration)
    }

    fn interval(&self, period: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.tokio.interval(period)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<LapinStream>> + Send + 'static {
        LapinStream::connect(address, self.frame_max)
    }
}
