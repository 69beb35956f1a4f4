//! Diagram 2: metrics, from the machines and services through the exporters and Prometheus to Grafana.

use std::collections::BTreeMap;

use blueprint::Component;
use jiff::{SignedDuration, Timestamp};

use crate::{
    client::{
        exposition,
        prometheus::{Series, Target},
    },
    context::Context,
    engine::NodeFacts,
    finding::{Finding, Probed},
    poll,
    scrape::{recent, scraped},
    workload::START,
};

/// The job whose targets are services, probed through the blackbox exporter.
const SERVICES: &str = "services";

pub(crate) async fn nodes_to_node_exporter(context: &Context<'_>) -> Probed {
    poll::until("node-exporter", context.deadline, async || {
        let nodes = context.engine.nodes().await?;
        let mut evidence = Vec::new();
        for node in &nodes {
            let own = context.at(Component::NodeExporter, node.exporter);
            evidence.push(same_machine(node, &own.get("/metrics").text().await?)?);
        }
        if evidence.is_empty() {
            return Err(Finding::new(
                "the lab has no machine",
                "see `cargo xtask status`",
            ));
        }
        Ok(evidence.join("; "))
    })
    .await
}

/// Whether node-exporter says of the machine what its kernel, or the API server, says of it.
#[expect(
    clippy::cast_precision_loss,
    reason = "memory below 2^53 bytes is exact, and node-exporter tells it as a float too"
)]
fn same_machine(node: &NodeFacts, exposition: &str) -> Probed {
    let mut claims = vec![(
        "node_memory_MemTotal_bytes",
        "bytes of memory",
        node.memory_bytes,
    )];
    if let Some(booted_at) = node.booted_at_seconds {
        claims.push((
            "node_boot_time_seconds",
            "as the time of its start",
            booted_at,
        ));
    }
    let mut evidence = Vec::new();
    for (metric, unit, fact) in claims {
        let told = exposition::value(exposition, metric);
        if told != Some(fact as f64) {
            let told = told.map_or("nothing".to_owned(), |told| told.to_string());
            return Err(Finding::at(
                Component::NodeExporter,
                format!(
                    "{} has {fact} {unit}, node-exporter's {metric} is {told}",
                    node.name
                ),
            ));
        }
        evidence.push(format!("{fact} {unit}"));
    }
    Ok(format!("{} has {}", node.name, evidence.join(" and ")))
}

pub(crate) async fn services_to_blackbox(context: &Context<'_>) -> Probed {
    let prometheus = context.prometheus().await?;
    let blackbox = context.blackbox().await?;
    poll::until("every service", context.deadline, async || {
        let targets = declared(prometheus.targets(SERVICES).await?)?;
        for target in &targets {
            if !blackbox.probe(probe_query(target)?).await? {
                return Err(Finding::new(
                    format!("blackbox cannot reach {}", service(&target.labels)),
                    format!(
                        "see whether that service answers: `cargo xtask logs {}`",
                        target
                            .labels
                            .get("service")
                            .map_or("blackbox", String::as_str)
                    ),
                ));
            }
        }
        Ok(format!(
            "{} of {0} services probed successfully",
            targets.len()
        ))
    })
    .await
}

/// The declared targets; none is a finding.
fn declared(targets: Vec<Target>) -> Result<Vec<Target>, Finding> {
    if targets.is_empty() {
        return Err(Finding::new(
            format!("Prometheus declares no target of the job `{SERVICES}`"),
            "see manifests/prometheus/prometheus.yml",
        ));
    }
    Ok(targets)
}

/// What Prometheus asks blackbox about this target.
fn probe_query(target: &Target) -> Result<&str, Finding> {
    target
        .scrape_url
        .split_once("/probe?")
        .map(|(_, query)| query)
        .ok_or_else(|| {
            Finding::new(
                format!(
                    "Prometheus scrapes {} without going through blackbox",
                    target.scrape_url
                ),
                format!("see the job `{SERVICES}` in manifests/prometheus/prometheus.yml"),
            )
        })
}

/// A probed service by its component's name, else by its address.
fn service(labels: &BTreeMap<String, String>) -> &str {
    labels
        .get("service")
        .or_else(|| labels.get("instance"))
        .map_or("a service without a name", String::as_str)
}

pub(crate) async fn node_exporter_to_prometheus(context: &Context<'_>) -> Probed {
    scraped(context, Component::NodeExporter, "metrics", START).await
}

pub(crate) async fn blackbox_to_prometheus(context: &Context<'_>) -> Probed {
    let prometheus = context.prometheus().await?;
    poll::until(
        "Prometheus to hold every probe",
        context.deadline,
        async || {
            let targets = declared(prometheus.targets(SERVICES).await?)?;
            let selector = format!("probe_success{{job=\"{SERVICES}\"}}");
            let probes = prometheus
                .query(&recent(&selector, targets[0].interval()), None)
                .await?;
            all_successful(&targets, &probes)
        },
    )
    .await
}

/// Whether there is one successful probe for each declared target, and no further one.
fn all_successful(targets: &[Target], probes: &[Series]) -> Probed {
    let page = "see the job `services` on Prometheus' page /targets";
    for target in targets {
        let instance = target.labels.get("instance");
        let probe = probes
            .iter()
            .find(|probe| probe.labels.get("instance") == instance);
        match probe {
            Some(probe) if probe.value == 1.0 => {}
            Some(_) => {
                return Err(Finding::new(
                    format!("the probe of {} has failed", service(&target.labels)),
                    page,
                ));
            }
            None => {
                return Err(Finding::new(
                    format!("Prometheus holds no probe of {}", service(&target.labels)),
                    page,
                ));
            }
        }
    }
    if probes.len() != targets.len() {
        return Err(Finding::new(
            format!(
                "Prometheus declares {} targets and holds {} probes",
                targets.len(),
                probes.len()
            ),
            page,
        ));
    }
    Ok(format!(
        "probe_success 1 for {} of {0} targets",
        targets.len()
    ))
}

pub(crate) async fn prometheus_to_grafana(context: &Context<'_>) -> Probed {
    // The sum over the times of the newest samples: no other Prometheus, and no other moment, has the same.
    const EXPRESSION: &str = "sum(timestamp(up))";
    /// Samples of the evaluated moment have all arrived by then.
    const SETTLED: SignedDuration = SignedDuration::from_secs(10);

    let prometheus = context.prometheus().await?;
    let grafana = context.grafana().await?;
    poll::until("Grafana", context.deadline, async || {
        let at = Timestamp::now() - SETTLED;
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds of this century are exact"
        )]
        let at_seconds = at.as_millisecond() as f64 / 1000.0;
        let direct = prometheus.query(EXPRESSION, Some(at_seconds)).await?;
        let through = grafana.metrics(EXPRESSION, at).await?;
        same_number(EXPRESSION, &direct, &through)
    })
    .await
}

/// Whether one number came back both ways.
fn same_number(expression: &str, direct: &[Series], through: &[Series]) -> Probed {
    let number = |series: &[Series]| match series {
        [one] => one.value.to_string(),
        [] => "nothing".to_owned(),
        more => format!("{} series", more.len()),
    };
    match (direct, through) {
        ([one], [other]) if one.value == other.value => Ok(format!(
            "{expression} is {} from Prometheus and through Grafana",
            one.value
        )),
        _ => Err(Finding::at(
            Component::Grafana,
            format!(
                "{expression} is {} from Prometheus and {} through Grafana",
                number(direct),
                number(through)
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use serde_json::json;

    use super::*;

    fn node() -> NodeFacts {
        NodeFacts {
            name: "lab-1".to_owned(),
            memory_bytes: 25_223_790_592,
            booted_at_seconds: Some(1_795_470_000),
            exporter: SocketAddr::from((Ipv4Addr::LOCALHOST, 9100)),
        }
    }

    #[test]
    fn a_machine_is_recognised_by_its_memory_and_its_start() {
        let told =
            "node_memory_MemTotal_bytes 2.5223790592e+10\nnode_boot_time_seconds 1.79547e+09\n";
        let evidence = same_machine(&node(), told).unwrap();
        assert!(
            evidence.starts_with("lab-1 has 25223790592 bytes"),
            "{evidence}"
        );
    }

    #[test]
    fn a_node_exporter_of_another_machine_is_noticed() {
        let told = "node_memory_MemTotal_bytes 1e+09\nnode_boot_time_seconds 1.79547e+09\n";
        let finding = same_machine(&node(), told).unwrap_err();
        assert!(
            finding.reason.ends_with("MemTotal_bytes is 1000000000"),
            "{finding:?}"
        );
        let restarted = "node_memory_MemTotal_bytes 2.5223790592e+10\nnode_boot_time_seconds 7\n";
        assert!(same_machine(&node(), restarted).is_err());
        assert!(
            same_machine(&node(), "")
                .unwrap_err()
                .reason
                .ends_with("is nothing")
        );
    }

    fn target(instance: &str, scrape_url: &str) -> Target {
        serde_json::from_value(json!({
            "labels": { "job": "services", "instance": instance, "service": instance },
            "scrapeUrl": scrape_url,
        }))
        .unwrap()
    }

    fn probe(instance: &str, value: f64) -> Series {
        Series {
            labels: BTreeMap::from([("instance".to_owned(), instance.to_owned())]),
            value,
        }
    }

    #[test]
    fn every_declared_target_needs_its_successful_probe() {
        let targets = [target("loki", ""), target("minio", "")];
        let verdict = |probes: &[Series]| all_successful(&targets, probes);
        assert!(verdict(&[probe("minio", 1.0), probe("loki", 1.0)]).is_ok());
        let table = [
            (vec![probe("minio", 1.0)], "holds no probe of loki"),
            (
                vec![probe("loki", 1.0), probe("minio", 0.0)],
                "probe of minio has failed",
            ),
            (
                vec![probe("loki", 1.0), probe("minio", 1.0), probe("ghost", 1.0)],
                "declares 2 targets and holds 3 probes",
            ),
        ];
        for (probes, words) in table {
            let told = verdict(&probes).unwrap_err().reason;
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn blackbox_is_asked_what_prometheus_asks_it() {
        let url = "http://127.0.0.1:9115/probe?module=http_2xx&target=http%3A%2F%2F127.0.0.1%3A3100%2Fready";
        assert_eq!(
            probe_query(&target("loki", url)),
            Ok("module=http_2xx&target=http%3A%2F%2F127.0.0.1%3A3100%2Fready")
        );
        assert!(probe_query(&target("loki", "http://127.0.0.1:3100/metrics")).is_err());
        assert!(declared(Vec::new()).is_err());
    }

    #[test]
    fn grafana_must_give_the_very_number() {
        let one = |value| vec![probe("x", value)];
        assert!(same_number("e", &one(2.5), &one(2.5)).is_ok());
        let told = same_number("e", &one(2.5), &one(2.25)).unwrap_err().reason;
        assert_eq!(told, "e is 2.5 from Prometheus and 2.25 through Grafana");
        assert!(same_number("e", &one(2.5), &[]).is_err());
        assert!(same_number("e", &[], &[]).is_err());
    }
}
