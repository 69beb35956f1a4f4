//! A line to a registry that stops after as many bytes as the test says, so that a command can be met in the middle.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use lab_tests::wait;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// A port of 127.0.0.1 behind which a registry is. It goes away with this value.
pub struct Line {
    port: u16,
    left: Arc<AtomicU64>,
    _connections: JoinSet<()>,
}

impl Line {
    /// A line that does not stop.
    pub async fn to(registry: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let left = Arc::new(AtomicU64::new(u64::MAX));
        let mut accepting = JoinSet::new();
        accepting.spawn({
            let left = Arc::clone(&left);
            async move {
                let mut connections = JoinSet::new();
                loop {
                    let (client, _) = listener.accept().await.unwrap();
                    connections.spawn(carry(client, registry.clone(), Arc::clone(&left)));
                }
            }
        });
        Self {
            port,
            left,
            _connections: accepting,
        }
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Lets as many bytes of answers through, and then none.
    pub fn stop_after(&self, bytes: u64) {
        self.left.store(bytes, Ordering::SeqCst);
    }

    /// Waits until it has stopped.
    pub async fn has_stopped(&self) {
        wait::until("the line to stop", async || {
            match self.left.load(Ordering::SeqCst) {
                0 => Ok(()),
                left => Err(format!("{left} bytes left")),
            }
        })
        .await;
    }
}

/// Carries a connection until one of its ends closes it.
async fn carry(mut client: TcpStream, registry: String, left: Arc<AtomicU64>) {
    let mut registry = TcpStream::connect(registry).await.unwrap();
    let (mut from_client, mut to_client) = client.split();
    let (mut from_registry, mut to_registry) = registry.split();
    let answers = async {
        let mut piece = vec![0; 16 << 10];
        loop {
            match from_registry.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(read) => {
                    let allowed = take(&left, read);
                    let written = to_client.write_all(&piece[..allowed]).await;
                    if written.is_err() {
                        return;
                    }
                    if allowed < read {
                        // The other end hears nothing more, and is not told why.
                        std::future::pending::<()>().await;
                    }
                }
            }
        }
    };
    tokio::select! {
        () = answers => {}
        _ = copy(&mut from_client, &mut to_registry) => {}
    }
}

/// As many of these bytes as may pass.
fn take(left: &AtomicU64, bytes: usize) -> usize {
    let bytes = bytes as u64;
    let rest = |left: u64| Some(left.saturating_sub(bytes));
    let before = left
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, rest)
        .unwrap_or_default();
    usize::try_from(before.min(bytes)).unwrap()
}
