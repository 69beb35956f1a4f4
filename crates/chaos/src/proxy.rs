//! A TCP proxy between a service and the broker that does what networks do: it cuts connections, and it forgets them.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::copy,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::ChaosError;

/// How often each order was given. A connection obeys those that come during its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Orders {
    cuts: u64,
    losses: u64,
    releases: u64,
}

/// A listening proxy. Dropping it closes its port and every connection.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    orders: watch::Sender<Orders>,
    open: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Carries what comes in at `port` of 127.0.0.1 to `target` of 127.0.0.1 and back. Where nobody listens there, a
    /// connection is closed as soon as it is made.
    ///
    /// # Errors
    /// When the port cannot be listened on.
    pub async fn start(port: u16, target: u16) -> Result<Self, ChaosError> {
        let failed = || ChaosError::io(format!("listen on port {port} of 127.0.0.1"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(failed())?;
        let port = listener.local_addr().map_err(failed())?.port();
        let (orders, heard) = watch::channel(Orders::default());
        let open = Arc::new(AtomicUsize::new(0));
        let accepting = tokio::spawn(accept(listener, target, heard, Arc::clone(&open)));
        Ok(Self {
            port,
            orders,
            open,
            accepting,
        })
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections there are, those included that carry nothing any more.
    pub fn connections(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Closes every connection at both ends, whatever is on its way.
    pub fn cut(&self) {
        self.orders.send_modify(|orders| orders.cuts += 1);
    }

    /// Lets every connection carry nothing any more without closing it, as a network does that has forgotten it. New
    /// ones are carried.
    pub fn forget(&self) {
        self.orders.send_modify(|orders| orders.losses += 1);
    }

    /// Closes those that carry nothing any more.
    pub fn release(&self) {
        self.orders.send_modify(|orders| orders.releases += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// The connections are this task's, so that they end with it.
async fn accept(
    listener: TcpListener,
    target: u16,
    orders: watch::Receiver<Orders>,
    open: Arc<AtomicUsize>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // A client that is gone before it was accepted is none.
            accepted = listener.accept() => if let Ok((client, _)) = accepted {
                let guard = OpenGuard::new(&open);
                connections.spawn(carry(client, target, orders.clone(), guard));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Counts a connection for as long as it is there.
struct OpenGuard(Arc<AtomicUsize>);

impl OpenGuard {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn carry(
    mut client: TcpStream,
    target: u16,
    mut orders: watch::Receiver<Orders>,
    _open: OpenGuard,
) {
    let born = *orders.borrow_and_update();
    let Ok(mut broker) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else {
        return;
    };
    // Small frames wait for nothing; where the system refuses, they wait.
    let _ = client.set_nodelay(true);
    let _ = broker.set_nodelay(true);
    let (mut from_client, mut to_client) = client.split();
    let (mut from_broker, mut to_broker) = broker.split();
    // AMQP has no half-closed connections: when one side has ended, nobody waits for the rest of the other.
    let is_lost = tokio::select! {
        _ = copy(&mut from_client, &mut to_broker) => false,
        _ = copy(&mut from_broker, &mut to_client) => false,
        heard = orders.wait_for(|now| (now.cuts, now.losses) != (born.cuts, born.losses)) => {
            heard.is_ok_and(|now| now.cuts == born.cuts)
        }
    };
    if is_lost {
        let lost = *orders.borrow_and_update();
        // Held open until then; the proxy's end is an end of it, too.
        let _ = orders
            .wait_for(|now| (now.cuts, now.releases) != (lost.cuts, lost.releases))
            .await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A server that sends back what it gets, a proxy before it, and a client of the proxy that has talked through it.
    async fn connected() -> (Proxy, TcpStream) {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let target = server.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = copy(&mut read, &mut write).await;
                });
            }
        });
        let proxy = Proxy::start(0, target).await.unwrap();
        let client = talk(&proxy).await;
        (proxy, client)
    }

    async fn talk(proxy: &Proxy) -> TcpStream {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port()))
            .await
            .unwrap();
        client.write_all(b"hello").await.unwrap();
        let mut answer = [0; 5];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hello");
        client
    }

    #[tokio::test]
    async fn a_cut_connection_ends_and_the_next_one_works() {
        let (proxy, mut client) = connected().await;
        assert_eq!(proxy.connections(), 1);
        proxy.cut();
        assert!(matches!(client.read(&mut [0; 1]).await, Ok(0) | Err(_)));
        talk(&proxy).await;
    }

    #[tokio::test]
    async fn a_forgotten_connection_is_silent_and_open_until_it_is_released() {
        let (proxy, mut client) = connected().await;
        proxy.forget();
        // The other connection is carried, which shows that the order has been heard.
        let mut other = talk(&proxy).await;
        client.write_all(b"anybody there").await.unwrap();
        let mut heard = [0; 1];
        let silence = tokio::time::timeout(Duration::from_millis(100), client.read(&mut heard));
        assert!(silence.await.is_err(), "something came through");
        proxy.release();
        assert!(matches!(client.read(&mut [0; 1]).await, Ok(0) | Err(_)));
        other.write_all(b"!").await.unwrap();
        assert_eq!(other.read_u8().await.unwrap(), b'!');
    }

    #[tokio::test]
    async fn without_a_server_a_connection_is_closed() {
        let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = nobody.local_addr().unwrap().port();
        drop(nobody);
        let proxy = Proxy::start(0, port).await.unwrap();
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port()))
            .await
            .unwrap();
        assert!(matches!(client.read(&mut [0; 1]).await, Ok(0) | Err(_)));
    }
}
