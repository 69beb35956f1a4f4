//! The broker objects that the workload uses, by the names that `manifests/rabbitmq/topology.json` declares them with.
//!
//! The services declare nothing: they look each object up passively and say what is missing.

/// The virtual host.
pub const VHOST: &str = "lab";
/// The topic exchange that the producer writes to.
pub const EXCHANGE: &str = "lab";
/// The quorum queue that the consumer reads, bound to [`EXCHANGE`] with `work.#`.
pub const QUEUE: &str = "work";
/// The topic exchange that takes what [`QUEUE`] gives up.
pub const DEAD_LETTER_EXCHANGE: &str = "lab.dead";
/// The quorum queue bound to [`DEAD_LETTER_EXCHANGE`] with `#`.
pub const DEAD_LETTER_QUEUE: &str = "work.dead";
/// The routing key of every message but tracer messages.
pub const ROUTING_KEY: &str = "work.message";
/// The routing key of tracer messages.
pub const TRACER_ROUTING_KEY: &str = "work.tracer";
/// How often [`QUEUE`] takes a message back; the next return after that dead-letters it. A message is therefore
/// delivered at most `DELIVERY_LIMIT + 1` times.
pub const DELIVERY_LIMIT: u32 = 5;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn declared() -> Value {
        let text = include_str!("../../../manifests/rabbitmq/topology.json");
        serde_json::from_str(text).unwrap()
    }

    fn find<'a>(declared: &'a Value, kind: &str, field: &str, name: &str) -> &'a Value {
        declared[kind]
            .as_array()
            .unwrap()
            .iter()
            .find(|object| object[field] == name)
            .unwrap_or_else(|| panic!("topology.json declares no {kind} with {field} `{name}`"))
    }

    #[test]
    fn the_manifest_declares_every_name() {
        let declared = declared();
        find(&declared, "vhosts", "name", VHOST);
        for exchange in [EXCHANGE, DEAD_LETTER_EXCHANGE] {
            assert_eq!(
                find(&declared, "exchanges", "name", exchange)["type"],
                "topic"
            );
        }
        for queue in [QUEUE, DEAD_LETTER_QUEUE] {
            let queue = find(&declared, "queues", "name", queue);
            assert_eq!(queue["arguments"]["x-queue-type"], "quorum");
            assert_eq!(queue["durable"], true);
        }
        assert_eq!(
            find(&declared, "bindings", "source", EXCHANGE)["destination"],
            QUEUE
        );
        assert_eq!(
            find(&declared, "bindings", "source", DEAD_LETTER_EXCHANGE)["destination"],
            DEAD_LETTER_QUEUE
        );
    }

    #[test]
    fn the_manifest_limits_deliveries_as_the_consumer_believes() {
        let declared = declared();
        let work = &find(&declared, "policies", "name", QUEUE)["definition"];
        assert_eq!(work["delivery-limit"], DELIVERY_LIMIT);
        assert_eq!(work["dead-letter-exchange"], DEAD_LETTER_EXCHANGE);
        // RabbitMQ moves a dead letter only after its new queue has confirmed it when both of these are set.
        assert_eq!(work["dead-letter-strategy"], "at-least-once");
        assert_eq!(work["overflow"], "reject-publish");
    }

    #[test]
    fn looking_at_dead_letters_never_drops_them() {
        let declared = declared();
        let dead = &find(&declared, "policies", "name", DEAD_LETTER_QUEUE)["definition"];
        // RabbitMQ 4 limits every quorum queue to 20 deliveries unless a policy says otherwise; 3.10 refuses -1.
        assert!(dead["delivery-limit"].as_u64().unwrap() >= 1_000_000_000);
    }

    #[test]
    fn the_manifest_holds_no_user_and_no_password() {
        let declared = declared();
        assert!(declared.get("users").is_none());
        assert!(!declared.to_string().contains("password"));
    }
}
