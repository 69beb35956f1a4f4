//! lapin's way to sockets and time: tokio's, but for the sockets, which moderate their reads.

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

use crate::broker::reads::ModeratedStream;

/// What lapin runs a connection on.
pub(super) type BrokerRuntime = Runtime<RuntimeParts<Tokio, ModeratedReactor>>;

/// The current tokio runtime, with sockets that are read at most once a `pause`; zero reads everything at once.
pub(super) fn runtime(pause: Duration) -> BrokerRuntime {
    let tokio = Tokio::current();
    let reactor = ModeratedReactor {
        tokio: tokio.clone(),
        pause,
    };
    Runtime::new(RuntimeParts::new(tokio, reactor))
}

#[derive(Clone, Debug)]
pub(super) struct ModeratedReactor {
    tokio: Tokio,
    pause: Duration,
}

impl Reactor for ModeratedReactor {
    type TcpStream = ModeratedStream;
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
    ) -> impl Future<Output = io::Result<ModeratedStream>> + Send + 'static {
        ModeratedStream::connect(address, self.pause)
    }
}
