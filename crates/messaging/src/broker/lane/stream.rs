//! lapin's end of the shared socket.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_io::{AsyncRead, AsyncWrite};

use crate::broker::lane::socket::{SharedSocket, register, wake};

/// What lapin may have waiting for the socket before it waits itself.
const QUEUE_BYTES: usize = 1 << 20;

pub(in crate::broker) struct LapinStream(Arc<SharedSocket>);

impl LapinStream {
    pub(in crate::broker) async fn connect(
        address: SocketAddr,
        frame_max: usize,
    ) -> io::Result<Self> {
        Ok(Self(Arc::new(
            SharedSocket::connect(address, frame_max).await?,
        )))
    }

    pub(in crate::broker) fn socket(&self) -> Arc<SharedSocket> {
        Arc::clone(&self.0)
    }
}

impl AsyncRead for LapinStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let socket = &self.0;
        let mut state = socket.state();
        loop {
            let read = io::Read::read(&mut state.inbound.for_lapin, buffer)?;
            if read > 0 {
                return Poll::Ready(Ok(read));
            }
            if let Some(end) = &mut state.end {
                return Poll::Ready(std::mem::replace(end, Ok(())).map(|()| 0));
            }
            if state.lane_reads {
                register(&mut state.lapin, cx);
                return Poll::Pending;
            }
            if !socket.read(&mut state) {
                // For when the lane takes the reading over, or leaves it.
                register(&mut state.lapin, cx);
                ready!(socket.tcp.poll_readable(cx))?;
            }
        }
    }
}

impl AsyncWrite for LapinStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.state();
        if !state.lane_reads
            && self.0.poll_flush(&mut state, cx).is_pending()
            && state.outbound.bytes() > QUEUE_BYTES
        {
            return Poll::Pending;
        }
        state.outbound.take_from_lapin(buffer);
        Poll::Ready(Ok(buffer.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.state();
        if state.lane_reads {
            // The lane waits for the socket, for both.
            if !state.outbound.flush(self.0.tcp.get_ref()) {
                wake(&mut state.lane);
            }
            return Poll::Ready(Ok(()));
        }
        self.0.poll_flush(&mut state, cx).map(Ok)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(
            self.as_ref()
                .get_ref()
                .0
                .poll_flush(&mut self.0.state(), cx)
        );
        self.0.shut_down();
        Poll::Ready(Ok(()))
    }
}
