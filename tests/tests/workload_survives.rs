//! Kills under load: the broker, the consumer, the producer. The journals are the judges.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use blueprint::Account;
use lab_tests::{
    broker::Broker,
    wait,
    workload::{Workload, consumer, count, journal, ledger, producer},
};
use messaging::dead_letter;
use tempfile::TempDir;

/// More than the window and the prefetch together, so that every part of the way holds messages when the blow falls.
const LOAD: f64 = 5_000.0;

/// One broker serves all claims, one after another: it takes longer to start than they take to check.
#[tokio::test]
async fn the_workload_loses_nothing_that_was_confirmed() {
    let Some(mut broker) = Broker::start("the_workload_loses_nothing_that_was_confirmed").await
    else {
        return;
    };
    a_killed_broker_loses_nothing(&mut broker).await;
    several_connections_lose_nothing(&mut broker).await;
    a_silent_broker_is_left_and_found_again(&mut broker).await;
    a_killed_consumer_loses_nothing(&broker).await;
    a_consumer_that_is_stopped_under_load_ends_by_itself(&broker).await;
    a_killed_producer_loses_nothing(&broker).await;
    a_consumer_whose_disk_is_full_ends_and_loses_nothing(&broker).await;
}

async fn a_killed_broker_loses_nothing(broker: &mut Broker) {
    let mut pair = Pair::start(broker).await;
    for _ in 0..2 {
        pair.works_on().await;
        broker.kill();
        let (_, reason) = wait::until("a producer without a broker", async || {
            let seen = pair.producer.readiness().await;
            if seen.1.contains("no broker answers") {
                Ok(seen)
            } else {
                Err(seen.1)
            }
        })
        .await;
        assert!(
            reason.contains(&format!("127.0.0.1:{}", broker.port())),
            "{reason}"
        );
        broker.restart().await;
    }
    pair.works_on().await;
    pair.producer.ready().await;
    assert!(pair.producer.metric("lab_broker_connects_total").await >= 3.0);
    pair.nothing_is_lost(broker).await;
    assert!(count(&journal(pair.folder.path(), "producer").confirmed) >= 15_000);
}

async fn several_connections_lose_nothing(broker: &mut Broker) {
    let several = |command: &mut Command| {
        command.env("LAB_CONNECTIONS", "3");
    };
    let mut pair = Pair::start_with(broker, several).await;
    pair.works_on().await;
    broker.kill();
    for service in [&pair.producer, &pair.consumer] {
        service.not_ready("broker").await;
        assert_eq!(service.metric("lab_broker_connected").await, 0.0);
    }
    broker.restart().await;
    for service in [&pair.producer, &pair.consumer] {
        service.ready().await;
        assert_eq!(service.metric("lab_broker_connected").await, 1.0);
        assert_eq!(service.metric("lab_broker_connects_total").await, 6.0);
    }
    pair.works_on().await;
    pair.consumer.kill();
    let mut again = consumer(broker, pair.folder.path());
    several(&mut again);
    pair.consumer = Workload::start_ready(again, pair.folder.path()).await;
    pair.nothing_is_lost(broker).await;
    let confirmed = journal(pair.folder.path(), "producer").confirmed;
    assert_eq!(confirmed.len(), 3, "each connection is a producer");
    assert!(confirmed.values().all(|sequences| !sequences.is_empty()));
}

async fn a_silent_broker_is_left_and_found_again(broker: &mut Broker) {
    let mut pair = Pair::start_with(broker, |command| {
        command.env("LAB_HEARTBEAT", "1s");
    })
    .await;
    pair.works_on().await;
    broker.freeze();
    for service in [&pair.producer, &pair.consumer] {
        service.not_ready("lost").await;
    }
    broker.thaw();
    for service in [&pair.producer, &pair.consumer] {
        service.ready().await;
    }
    pair.works_on().await;
    pair.nothing_is_lost(broker).await;
}

async fn a_killed_consumer_loses_nothing(broker: &Broker) {
    let mut pair = Pair::start(broker).await;
    for _ in 0..3 {
        pair.works_on().await;
        pair.consumer.kill();
        let again = consumer(broker, pair.folder.path());
        pair.consumer = Workload::start_ready(again, pair.folder.path()).await;
    }
    pair.works_on().await;
    pair.nothing_is_lost(broker).await;
}

/// Not because its time to drain is up, which takes an hour here.
async fn a_consumer_that_is_stopped_under_load_ends_by_itself(broker: &Broker) {
    let patient = |command: &mut Command| {
        command.env("LAB_DRAIN_TIMEOUT", "1h");
    };
    let mut pair = Pair::start_with(broker, patient).await;
    for _ in 0..5 {
        pair.works_on().await;
        assert!(pair.consumer.stop().success(), "{}", pair.consumer.errors());
        let mut again = consumer(broker, pair.folder.path());
        patient(&mut again);
        pair.consumer = Workload::start_ready(again, pair.folder.path()).await;
    }
    pair.nothing_is_lost(broker).await;
}

async fn a_killed_producer_loses_nothing(broker: &Broker) {
    let mut pair = Pair::start(broker).await;
    for _ in 0..3 {
        pair.works_on().await;
        pair.producer.kill();
        let again = fast_producer(broker, pair.folder.path());
        pair.producer = Workload::start_ready(again, pair.folder.path()).await;
    }
    pair.works_on().await;
    pair.nothing_is_lost(broker).await;
    let producers = journal(pair.folder.path(), "producer").confirmed.len();
    assert_eq!(producers, 4, "each start is a producer of its own");
}

async fn a_consumer_whose_disk_is_full_ends_and_loses_nothing(broker: &Broker) {
    let folder = tempfile::tempdir().unwrap();
    let small = on_a_small_disk(&consumer(broker, folder.path()), folder.path());
    let mut small = Workload::start_ready(small, folder.path()).await;
    let producer = Workload::start_ready(fast_producer(broker, folder.path()), folder.path()).await;
    assert_eq!(small.wait().code(), Some(74));
    let said = small.errors();
    for part in [
        "cannot write the journal",
        "No space left",
        "hint: free space",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let consumer = Workload::start_ready(consumer(broker, folder.path()), folder.path()).await;
    let mut pair = Pair {
        producer,
        consumer,
        folder,
    };
    pair.works_on().await;
    pair.nothing_is_lost(broker).await;
}

/// A producer's command that publishes as fast as the broker takes it.
fn fast_producer(broker: &Broker, folder: &Path) -> Command {
    let mut command = producer(broker, folder);
    command.env("LAB_RATE", "0").env("LAB_PAYLOAD_BYTES", "100");
    command
}

/// A service's command in a namespace where its journal lies on a disk of a few pages, copied to `folder` at its end.
fn on_a_small_disk(service: &Command, folder: &Path) -> Command {
    const SCRIPT: &str = r#"
        mount -t tmpfs -o size=16k small "$1" && "$2"
        code=$?
        cp "$1"/*.journal "$3" && exit $code"#;
    let disk = folder.join("disk");
    fs::create_dir(&disk).unwrap();
    let mut command = Command::new("unshare");
    command
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            SCRIPT,
            "sh",
        ])
        .arg(&disk)
        .arg(service.get_program())
        .arg(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(
            service
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("LAB_JOURNAL", disk.join("consumer.journal"))
        .stdin(Stdio::null());
    command
}

/// A producer at full speed and a consumer, with their journals.
struct Pair {
    producer: Workload,
    consumer: Workload,
    folder: TempDir,
}

impl Pair {
    async fn start(broker: &Broker) -> Self {
        Self::start_with(broker, |_| {}).await
    }

    async fn start_with(broker: &Broker, set: impl Fn(&mut Command)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut consumer = consumer(broker, folder.path());
        set(&mut consumer);
        let consumer = Workload::start_ready(consumer, folder.path()).await;
        let mut producer = fast_producer(broker, folder.path());
        set(&mut producer);
        let producer = Workload::start_ready(producer, folder.path()).await;
        Self {
            producer,
            consumer,
            folder,
        }
    }

    /// Waits until both sides have moved a load further.
    async fn works_on(&self) {
        for (service, metric) in [
            (&self.producer, "lab_messages_confirmed_total"),
            (&self.consumer, "lab_messages_consumed_total"),
        ] {
            let before = service.metric(metric).await;
            service.metric_reaches(metric, before + LOAD).await;
        }
    }

    /// Stops the producer, lets the consumer finish, and compares what was confirmed with what was handled or lies among
    /// the dead letters: a message that was in hand at every blow may have used up its deliveries.
    async fn nothing_is_lost(&mut self, broker: &Broker) {
        assert!(self.producer.stop().success(), "{}", self.producer.errors());
        let operator = broker.settings(Account::RabbitmqOperator);
        wait::until("the consumer to have everything", async || {
            let ledger = ledger(self.folder.path());
            if ledger.lost_count() == 0 {
                return Ok(());
            }
            let dead = dead_letter::list(&operator)
                .await
                .map_err(|error| format!("{error:?}"))?;
            let dead = dead
                .iter()
                .filter_map(|letter| letter.origin)
                .filter(|(producer, sequence)| {
                    let lost = ledger.lost.get(producer);
                    lost.is_some_and(|lost| lost.contains(*sequence))
                })
                .count();
            if ledger.lost_count() == dead as u64 {
                return Ok(());
            }
            Err(format!(
                "{} of {} missing, {dead} of them dead letters",
                ledger.lost_count(),
                ledger.confirmed
            ))
        })
        .await;
        assert!(self.consumer.stop().success(), "{}", self.consumer.errors());
    }
}
