//! The producer and the consumer on a broker that works, is misconfigured, and is mended again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use blueprint::Account;
use lab_tests::{
    broker::Broker,
    wait,
    workload::{Workload, consumer, count, journal, ledger, producer},
};
use messaging::dead_letter;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// One broker serves all claims, one after another: it takes longer to start than they take to check.
#[tokio::test]
async fn the_workload_delivers_and_says_what_is_in_its_way() {
    let Some(broker) = Broker::start("the_workload_delivers_and_says_what_is_in_its_way").await
    else {
        return;
    };
    the_broker_has_the_topology_and_its_policies(&broker).await;
    a_tracer_message_is_one_trace_on_both_sides(&broker).await;
    poison_is_dead_lettered_at_the_delivery_limit(&broker).await;
    an_unroutable_message_is_published_until_its_binding_is_back(&broker).await;
    a_full_queue_is_published_to_until_it_has_room(&broker).await;
    copies_of_a_message_are_handled_once(&broker).await;
    a_deleted_queue_is_reported_with_its_remedy_until_it_is_back(&broker).await;
    a_withdrawn_permission_is_reported_until_it_is_back(&broker).await;
    a_stop_drains(&broker).await;
}

async fn the_broker_has_the_topology_and_its_policies(broker: &Broker) {
    for (queue, limit) in [("work", 5), ("work.dead", 1_000_000_000)] {
        let path = format!("queues/lab/{queue}");
        let queue = wait::until("a policy on the queue", async || {
            let queue = broker.manage(Method::GET, &path, None).await;
            match queue["policy"].as_str() {
                Some(_) => Ok(queue),
                None => Err(queue.to_string()),
            }
        })
        .await;
        assert_eq!(queue["type"], "quorum");
        assert_eq!(
            queue["effective_policy_definition"]["delivery-limit"],
            limit
        );
    }
    let users = broker.manage(Method::GET, "users", None).await;
    let names: Vec<&str> = users
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["consumer", "operator", "producer"], "no guest");
}

async fn a_tracer_message_is_one_trace_on_both_sides(broker: &Broker) {
    let pair = Pair::start(broker).await;
    let (status, sent) = pair.producer.send_tracer("normal").await;
    assert_eq!(status, StatusCode::OK, "{sent}");
    let received = pair.received(&sent, 1).await;
    for (ours, theirs) in [
        ("message_id", "message_id"),
        ("producer_id", "producer_id"),
        ("sequence", "sequence"),
        ("trace_id", "trace_id"),
        ("span_id", "parent_span_id"),
    ] {
        assert_eq!(sent[ours], received[theirs], "{sent} {received}");
    }
    assert_eq!(received["outcome"], "handled");
    let logged = pair.consumer.logs("tracer message consumed").await;
    assert_eq!(logged["message_id"], sent["message_id"]);
    assert_eq!(logged["trace_id"], sent["trace_id"]);
    assert_ne!(
        logged["span_id"], sent["span_id"],
        "the consumer has a span of its own"
    );

    let (status, answer) = pair.producer.send_tracer("odd").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    let (status, _) = pair
        .consumer
        .tracer("01890000-0000-7000-8000-000000000000")
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

async fn poison_is_dead_lettered_at_the_delivery_limit(broker: &Broker) {
    let operator = broker.settings(Account::RabbitmqOperator);
    let pair = Pair::start(broker).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (_, sent) = pair.producer.send_tracer("poison").await;
        // Five returns, and the sixth delivery is the last.
        let received = pair.received(&sent, 6).await;
        assert_eq!(received["outcome"], "rejected");
        ids.push(sent["message_id"].as_str().unwrap().parse().unwrap());
    }
    assert_eq!(
        pair.consumer
            .metric("lab_messages_dead_lettered_total")
            .await,
        3.0
    );
    assert_eq!(
        pair.consumer.metric("lab_messages_rejected_total").await,
        18.0
    );

    let within = Duration::from_secs(10);
    let letter = dead_letter::take(&operator, ids[1], within)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (letter.reason.as_str(), letter.queue.as_str()),
        ("delivery_limit", "work")
    );
    assert_eq!((letter.deaths, letter.message_id), (1, Some(ids[1])));
    // Looking leaves the others where they were, however often.
    for _ in 0..10 {
        let left = dead_letter::list(&operator).await.unwrap();
        let left: Vec<_> = left.iter().filter_map(|letter| letter.message_id).collect();
        assert_eq!(left, [ids[0], ids[2]]);
    }
    let gone = dead_letter::take(&operator, ids[1], Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(gone, None);

    assert_eq!(count(&journal(pair.folder.path(), "consumer").dead), 3);
    pair.nothing_is_lost().await;
}

async fn an_unroutable_message_is_published_until_its_binding_is_back(broker: &Broker) {
    let binding = "bindings/lab/e/lab/q/work/work.%23";
    broker.manage(Method::DELETE, binding, None).await;
    let pair = Pair::start(broker).await;
    let (status, answer) = pair.producer.send_tracer("normal").await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{answer}");
    assert!(
        answer["error"]
            .as_str()
            .unwrap()
            .contains("no queue is bound"),
        "{answer}"
    );
    pair.producer
        .metric_reaches("lab_messages_returned_total", 200.0)
        .await;
    assert_eq!(
        pair.producer.metric("lab_messages_confirmed_total").await,
        0.0
    );
    pair.producer
        .metric_reaches("lab_messages_republished_total", 200.0)
        .await;

    broker.restore_topology().await;
    pair.producer
        .metric_reaches("lab_messages_confirmed_total", 500.0)
        .await;
    pair.nothing_is_lost().await;
}

async fn a_full_queue_is_published_to_until_it_has_room(broker: &Broker) {
    let folder = tempfile::tempdir().unwrap();
    let policy = broker.manage(Method::GET, "policies/lab/work", None).await;
    let mut full = policy.clone();
    full["definition"]["max-length"] = json!(50);
    broker
        .manage(Method::PUT, "policies/lab/work", Some(full))
        .await;
    let producer = Workload::start_ready(producer(broker, folder.path()), folder.path()).await;
    producer
        .metric_reaches("lab_messages_nacked_total", 10.0)
        .await;
    let consumer = Workload::start_ready(consumer(broker, folder.path()), folder.path()).await;
    producer
        .metric_reaches("lab_messages_confirmed_total", 300.0)
        .await;
    broker
        .manage(Method::PUT, "policies/lab/work", Some(policy))
        .await;
    let pair = Pair {
        producer,
        consumer,
        folder,
    };
    pair.nothing_is_lost().await;
}

async fn copies_of_a_message_are_handled_once(broker: &Broker) {
    let pair = Pair::start_at_rate(broker, 0).await;
    // What the broker has taken and not yet confirmed when the connection goes is published again.
    wait::until("a duplicate", async || {
        let duplicates = pair.consumer.metric("lab_messages_duplicate_total").await;
        if duplicates > 0.0 {
            return Ok(());
        }
        close_connections(broker, "producer").await;
        Err(duplicates)
    })
    .await;
    assert!(pair.producer.metric("lab_messages_republished_total").await > 0.0);
    pair.nothing_is_lost().await;
}

async fn a_deleted_queue_is_reported_with_its_remedy_until_it_is_back(broker: &Broker) {
    let pair = Pair::start(broker).await;
    broker.manage(Method::DELETE, "queues/lab/work", None).await;
    let reason = pair.consumer.not_ready("topology is missing").await;
    assert!(
        reason.contains("no queue `work` in the virtual host `lab`"),
        "{reason}"
    );
    let logged = pair
        .consumer
        .logs("no connection to the broker; trying until there is one")
        .await;
    assert!(
        logged["hint"].as_str().unwrap().contains("topology.json"),
        "{logged}"
    );
    broker.restore_topology().await;
    pair.consumer.ready().await;

    broker
        .manage(Method::DELETE, "exchanges/lab/lab", None)
        .await;
    let reason = pair.producer.not_ready("topology is missing").await;
    assert!(reason.contains("no exchange `lab`"), "{reason}");
    let (status, answer) = pair.producer.send_tracer("normal").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{answer}");
    broker.restore_topology().await;
    pair.producer.ready().await;
    let confirmed = pair.producer.metric("lab_messages_confirmed_total").await;
    pair.producer
        .metric_reaches("lab_messages_confirmed_total", confirmed + 100.0)
        .await;
}

async fn a_withdrawn_permission_is_reported_until_it_is_back(broker: &Broker) {
    let pair = Pair::start(broker).await;
    let nothing = json!({ "configure": "^$", "write": "^$", "read": "^$" });
    for (user, service) in [("producer", &pair.producer), ("consumer", &pair.consumer)] {
        let path = format!("permissions/lab/{user}");
        let granted = broker.manage(Method::GET, &path, None).await;
        broker
            .manage(Method::PUT, &path, Some(nothing.clone()))
            .await;
        // Permissions are looked at when a channel begins to publish or to consume.
        let reason = wait::until("a refusal", async || {
            close_connections(broker, user).await;
            match service.readiness().await {
                (StatusCode::OK, _) => Err("ready".to_owned()),
                (_, reason) if reason.contains("forbids") => Ok(reason),
                (_, reason) => Err(reason),
            }
        })
        .await;
        assert!(reason.contains(&format!("user `{user}`")), "{reason}");
        broker.manage(Method::PUT, &path, Some(granted)).await;
        service.ready().await;
    }
    pair.nothing_is_lost().await;
}

async fn a_stop_drains(broker: &Broker) {
    let mut pair = Pair::start_at_rate(broker, 5000).await;
    pair.consumer
        .metric_reaches("lab_messages_consumed_total", 3000.0)
        .await;
    assert!(pair.consumer.stop().success(), "{}", pair.consumer.errors());
    pair.producer
        .metric_reaches("lab_messages_confirmed_total", 6000.0)
        .await;
    assert!(pair.producer.stop().success(), "{}", pair.producer.errors());

    // Whatever the broker delivers a second time, nothing is handled a second time.
    let first = count(&journal(pair.folder.path(), "consumer").acked);
    let again = consumer(broker, pair.folder.path());
    pair.consumer = Workload::start_ready(again, pair.folder.path()).await;
    drained(&pair.folder).await;
    let all = count(&journal(pair.folder.path(), "consumer").acked);
    let second = pair.consumer.metric("lab_messages_consumed_total").await;
    assert_eq!(second, (all - first) as f64);
}

/// A producer and a consumer with their journals.
struct Pair {
    producer: Workload,
    consumer: Workload,
    folder: TempDir,
}

impl Pair {
    async fn start(broker: &Broker) -> Self {
        Self::start_at_rate(broker, 200).await
    }

    async fn start_at_rate(broker: &Broker, rate: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let consumer = consumer(broker, folder.path());
        let consumer = Workload::start_ready(consumer, folder.path()).await;
        let mut producer = producer(broker, folder.path());
        producer.env("LAB_RATE", rate.to_string());
        let producer = Workload::start_ready(producer, folder.path()).await;
        Self {
            producer,
            consumer,
            folder,
        }
    }

    /// What the consumer says of a tracer message after its delivery number `deliveries`.
    async fn received(&self, sent: &Value, deliveries: u64) -> Value {
        let id = sent["message_id"].as_str().unwrap();
        wait::until("the tracer message", async || {
            let (status, received) = self.consumer.tracer(id).await;
            if status == StatusCode::OK && received["deliveries"] == deliveries {
                Ok(received)
            } else {
                Err(received)
            }
        })
        .await
    }

    /// Stops the producer, lets the consumer finish, and demands that each confirmed message was handled, once.
    async fn nothing_is_lost(mut self) {
        assert!(self.producer.stop().success(), "{}", self.producer.errors());
        drained(&self.folder).await;
        let consumed = self.consumer.metric("lab_messages_consumed_total").await;
        assert!(self.consumer.stop().success(), "{}", self.consumer.errors());
        let ledger = ledger(self.folder.path());
        assert_eq!(ledger.lost_count(), 0, "{ledger:?}");
        assert_eq!(consumed, ledger.acknowledged as f64, "handled once each");
    }
}

async fn drained(folder: &TempDir) {
    wait::until("the consumer to have everything", async || {
        let ledger = ledger(folder.path());
        if ledger.confirmed > 0 && ledger.lost_count() == 0 {
            Ok(())
        } else {
            Err(format!(
                "{} of {} missing",
                ledger.lost_count(),
                ledger.confirmed
            ))
        }
    })
    .await;
}

async fn close_connections(broker: &Broker, user: &str) {
    let connections = broker.manage(Method::GET, "connections", None).await;
    for connection in connections.as_array().unwrap() {
        if connection["user"] == user {
            let name = connection["name"].as_str().unwrap().replace(' ', "%20");
            // It may have gone meanwhile.
            broker
                .ask(Method::DELETE, &format!("connections/{name}"), None)
                .await;
        }
    }
}
