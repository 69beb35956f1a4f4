//! A consumer that is wrong on purpose: it acknowledges its messages first and writes them down later. Killed, it has lost
//! what it acknowledged and not yet written. It shows that the judge of the fault campaign can say no.
//!
//! Settings come by the environment of the lab's own consumer; its admin server says yes to everything.

use std::{
    collections::VecDeque,
    env,
    error::Error,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use messaging::{
    broker::{BrokerSettings, PasswordSource},
    consumer::{Consumer, ConsumerSettings, Failure, Handler, Received},
    duplicates::Key,
    journal::{Journal, JournalError, Kind},
    metrics::ConsumerMetrics,
    stop::stop,
    topology::{DELIVERY_LIMIT, VHOST},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// Messages that are acknowledged and not written down: more than the prefetch, so that many were acknowledged long ago.
const BEHIND: usize = 1_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let forgetful = Forgetful(Arc::new(Mutex::new(Notes {
        journal: Journal::open(&PathBuf::from(env::var("LAB_JOURNAL")?))?,
        unwritten: VecDeque::new(),
    })));
    let meter = opentelemetry::global::meter("forgetful");
    let consumer = Consumer::new(settings()?, forgetful.clone(), ConsumerMetrics::new(&meter))?;
    let listener = TcpListener::bind(env::var("LAB_ADMIN_ADDRESS")?).await?;
    tokio::spawn(say_yes(listener));
    let (handle, stopped) = stop();
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        terminate.recv().await;
        handle.request();
    });
    consumer.run(stopped).await?;
    forgetful.write_down_to(0)?;
    Ok(())
}

fn settings() -> Result<ConsumerSettings, Box<dyn Error>> {
    Ok(ConsumerSettings {
        broker: BrokerSettings {
            host: env::var("LAB_BROKER_HOST")?,
            port: env::var("LAB_BROKER_PORT")?.parse()?,
            vhost: VHOST.to_owned(),
            username: env::var("LAB_USERNAME")?,
            password: PasswordSource::File(env::var("LAB_PASSWORD_FILE")?.into()),
            heartbeat: Duration::from_secs(2),
            connection_name: "forgetful".to_owned(),
        },
        connections: 1,
        prefetch: 300,
        ack_batch: 100,
        ack_delay: Duration::from_millis(20),
        retry_limit: 0,
        delivery_limit: DELIVERY_LIMIT,
        drain_timeout: Duration::from_secs(10),
        // The journal is the handler's, which is the fault.
        journal: None,
    })
}

/// Answers every request with 200.
async fn say_yes(listener: TcpListener) {
    const YES: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    while let Ok((mut stream, _)) = listener.accept().await {
        // A request that ends early has nobody to answer.
        if stream.read(&mut [0; 1024]).await.is_ok() {
            let _ = stream.write_all(YES).await;
        }
    }
}

#[derive(Clone)]
struct Forgetful(Arc<Mutex<Notes>>);

struct Notes {
    journal: Journal,
    unwritten: VecDeque<Key>,
}

impl Forgetful {
    fn write_down_to(&self, left: usize) -> Result<(), JournalError> {
        let notes = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let surplus = notes.unwritten.len().saturating_sub(left);
        let records = notes
            .unwritten
            .drain(..surplus)
            .map(|(producer, sequence)| (producer, sequence..=sequence));
        notes.journal.append(Kind::Acked, records)
    }
}

impl Handler for Forgetful {
    async fn handle(&self, message: &Received) -> Result<(), Failure> {
        {
            let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            notes
                .unwritten
                .push_back((message.producer, message.sequence));
        }
        self.write_down_to(BEHIND)
            .map_err(|error| Failure::Transient(error.to_string()))
    }
}
