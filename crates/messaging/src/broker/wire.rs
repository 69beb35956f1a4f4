//! One connection to the broker, and its certain end.
//!
//! lapin's recovery is not used. Its I/O thread waits for the socket, for ever when the peer is silent during the
//! handshake: therefore the socket is kept beside the connection and shut down when the connection is given up, which
//! ends the thread at once.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::Stream;
use lapin::{
    AsyncTcpStream, Channel, Connection, ConnectionProperties, Event,
    tcp::{AMQPUriTcpExt as _, TLSConfig},
    uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo},
};
use tokio::time::timeout;

use crate::broker::{
    BrokerError, BrokerSettings,
    lane::{Lane, socket::SharedSocket},
    reactor::runtime,
};

/// How long TCP connection and AMQP handshake may take, each.
const HANDSHAKE_BOUND: Duration = Duration::from_secs(10);

/// How long a graceful close may take.
const CLOSE_BOUND: Duration = Duration::from_secs(2);

/// The largest frame: RabbitMQ's own limit, unless it was told otherwise.
const FRAME_BYTES: u32 = 128 << 10;

/// An open connection; dropping it ends it without a word.
pub(crate) struct Wire {
    // First in the list: with the socket shut down, dropping the connection waits for nobody.
    socket: SocketGuard,
    connection: Connection,
}

impl Wire {
    /// Connects once.
    pub(crate) async fn connect(settings: &BrokerSettings) -> Result<Self, BrokerError> {
        let uri = uri(settings)?;
        let properties = ConnectionProperties::default()
            .with_connection_name(settings.connection_name.clone().into());
        let socket = SocketGuard::default();
        let slot = Arc::clone(&socket.0);
        let connect_error = |error| BrokerError::from_connect(error, settings);
        let connecting = Connection::connector(
            uri,
            runtime(FRAME_BYTES as usize),
            async move |uri, runtime| {
                let stream = timeout(
                    HANDSHAKE_BOUND,
                    uri.connect_with_config_async(TLSConfig::default(), &runtime),
                )
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    keep(&slot, plain.socket());
                }
                Ok(stream)
            },
            properties,
        );
        match timeout(HANDSHAKE_BOUND * 2, connecting).await {
            Ok(Ok(connection)) => Ok(Self { socket, connection }),
            Ok(Err(error)) => Err(connect_error(error)),
            Err(_) => Err(BrokerError::Silent {
                address: settings.address(),
                after: HANDSHAKE_BOUND * 2,
            }),
        }
    }

    pub(crate) async fn channel(&self) -> Result<Channel, lapin::Error> {
        self.connection.create_channel().await
    }

    /// Takes the messages of a channel past lapin, before any was published or delivered. What the broker sends within
    /// `read_pause` of a read is read together.
    pub(crate) fn lane(
        &self,
        channel: Channel,
        read_pause: Duration,
    ) -> Result<Lane, lapin::Error> {
        let socket = self
            .socket
            .open()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
        let frame_max = self.connection.configuration().frame_max();
        Ok(Lane::open(socket, channel, frame_max as usize, read_pause))
    }

    /// Blocked, unblocked, failed: what the broker says beside the channels.
    pub(crate) fn events(&self) -> impl Stream<Item = Event> + Send + Unpin + 'static {
        Box::pin(self.connection.events_listener())
    }

    /// Closes gracefully, within a bound.
    pub(crate) async fn close(self) {
        // Whether the broker agrees or not, the connection ends here.
        let _ = timeout(CLOSE_BOUND, self.connection.close(200, "OK".into())).await;
    }
}

/// The end of a connection: dropping it shuts the socket down, or the one that is yet to be opened.
#[derive(Default)]
struct SocketGuard(Arc<Mutex<Socket>>);

#[derive(Default)]
enum Socket {
    #[default]
    Unopened,
    Open(Arc<SharedSocket>),
    GivenUp,
}

fn keep(slot: &Mutex<Socket>, opened: Arc<SharedSocket>) {
    let mut socket = slot.lock().unwrap_or_else(PoisonError::into_inner);
    match *socket {
        Socket::GivenUp => opened.shut_down(),
        Socket::Unopened | Socket::Open(_) => *socket = Socket::Open(opened),
    }
}

impl SocketGuard {
    fn open(&self) -> Option<Arc<SharedSocket>> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Socket::Open(socket) => Some(Arc::clone(socket)),
            Socket::Unopened | Socket::GivenUp => None,
        }
    }
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        let mut socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Socket::Open(socket) = std::mem::replace(&mut *socket, Socket::GivenUp) {
            socket.shut_down();
        }
    }
}

fn uri(settings: &BrokerSettings) -> Result<AMQPUri, BrokerError> {
    let heartbeat = settings.heartbeat.as_secs().clamp(1, u64::from(u16::MAX));
    Ok(AMQPUri {
        scheme: AMQPScheme::AMQP,
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo {
                username: settings.username.clone(),
                password: settings.password.read()?,
            },
            host: settings.host.clone(),
            port: settings.port,
        },
        vhost: settings.vhost.clone(),
        query: AMQPQueryString {
            heartbeat: u16::try_from(heartbeat).ok(),
            frame_max: Some(FRAME_BYTES),
            ..AMQPQueryString::default()
        },
    })
}
