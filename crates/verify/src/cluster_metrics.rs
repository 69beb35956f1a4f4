//! The arrows of diagram 2 that only a cluster has: what kube-state-metrics and metrics-server say is compared with the API
//! server's own word.

use std::{collections::BTreeSet, time::Duration};

use blueprint::Component;
use jiff::{SignedDuration, Timestamp};

use crate::{
    client::exposition,
    context::Context,
    finding::{Finding, Probed},
    gitops::kubernetes,
    kubernetes::NodeUsage,
    poll,
    scrape::{fresh, recent},
};

/// The metric by which kube-state-metrics tells that a pod runs.
const PHASE: &str = "kube_pod_status_phase";

/// A measurement is taken every 15 s and may be one round late.
const MEASURED: SignedDuration = SignedDuration::from_secs(60);

/// How often Prometheus scrapes kube-state-metrics.
const SCRAPED: Duration = Duration::from_secs(5);

/// A process is up within this time after its container was started, by clocks that are not the same.
const STARTED: f64 = 10.0;

pub(crate) async fn pods_to_kube_state_metrics(context: &Context<'_>) -> Probed {
    let kubernetes = kubernetes(context)?;
    let own = context.endpoint(Component::KubeStateMetrics).await?;
    poll::until("kube-state-metrics", context.deadline, async || {
        let running = kubernetes.running_pods().await?;
        let text = own.get("/metrics").text().await?;
        let told: BTreeSet<String> = exposition::samples(&text, PHASE)
            .filter(|sample| sample.value == 1.0 && sample.label("phase") == Some("Running"))
            .filter_map(|sample| sample.label("uid").map(str::to_owned))
            .collect();
        same_pods("kube-state-metrics", &told, &running)
    })
    .await
}

pub(crate) async fn kube_state_metrics_to_prometheus(context: &Context<'_>) -> Probed {
    let kubernetes = kubernetes(context)?;
    let prometheus = context.prometheus().await?;
    let what = "Prometheus to know the pods that run";
    poll::until(what, context.deadline, async || {
        let age = fresh(&prometheus, Component::KubeStateMetrics).await?;
        let running = kubernetes.running_pods().await?;
        let selector = format!("{PHASE}{{phase=\"Running\"}}");
        // A Prometheus that was restarted still answers with pods of before.
        let series = prometheus.query(&recent(&selector, SCRAPED), None).await?;
        let told = series
            .into_iter()
            .filter(|series| series.value == 1.0)
            .filter_map(|mut series| series.labels.remove("uid"))
            .collect();
        let pods = same_pods("Prometheus", &told, &running)?;
        Ok(format!("scraped {:.1} s ago, {pods}", age.as_secs_f64()))
    })
    .await
}

/// Whether these are the very pods that run.
fn same_pods(who: &str, told: &BTreeSet<String>, running: &BTreeSet<String>) -> Probed {
    if running.is_empty() {
        return Err(Finding::new("no pod runs", "see `cargo xtask status`"));
    }
    if told == running {
        return Ok(format!(
            "{} pods run, by {who} and by the API server",
            running.len()
        ));
    }
    Err(Finding::at(
        Component::KubeStateMetrics,
        format!(
            "{who} does not know {} of the {} pods that run, and knows {} that do not",
            running.difference(told).count(),
            running.len(),
            told.difference(running).count()
        ),
    ))
}

pub(crate) async fn nodes_to_metrics_server(context: &Context<'_>) -> Probed {
    let kubernetes = kubernetes(context)?;
    let since = context.fresh.then_some(context.started_at);
    poll::until("metrics-server", context.deadline, async || {
        let nodes = kubernetes.node_usage().await?;
        if nodes.is_empty() {
            return Err(Finding::new(
                "the cluster has no node",
                "see `cargo xtask status`",
            ));
        }
        let evidence: Vec<_> = nodes
            .iter()
            .map(|node| measured(node, since, Timestamp::now()))
            .collect::<Result<_, _>>()?;
        Ok(evidence.join("; "))
    })
    .await
}

/// Whether the metrics API has a measurement of the node that can be one: of late, and within what the node has.
fn measured(node: &NodeUsage, since: Option<Timestamp>, now: Timestamp) -> Probed {
    let name = &node.node;
    let finding = |reason| Finding::at(Component::MetricsServer, reason);
    let Some(measured) = &node.measured else {
        return Err(finding(format!(
            "the metrics API has nothing of the node {name}"
        )));
    };
    let since = since.unwrap_or(now - MEASURED);
    if measured.at < since {
        return Err(finding(format!(
            "the newest measurement of {name} is of {}",
            measured.at
        )));
    }
    if measured.memory_bytes == 0 || measured.memory_bytes > node.capacity_bytes {
        return Err(finding(format!(
            "{name} is said to use {} of its {} bytes of memory",
            measured.memory_bytes, node.capacity_bytes
        )));
    }
    Ok(format!(
        "{name} uses {} of its {} bytes of memory",
        measured.memory_bytes, node.capacity_bytes
    ))
}

pub(crate) async fn metrics_server_to_prometheus(context: &Context<'_>) -> Probed {
    const START: &str = "process_start_time_seconds{job=\"metrics-server\"}";

    let kubernetes = kubernetes(context)?;
    let prometheus = context.prometheus().await?;
    let what = "Prometheus to know when metrics-server was started";
    poll::until(what, context.deadline, async || {
        let age = fresh(&prometheus, Component::MetricsServer).await?;
        let started = kubernetes.started_at(Component::MetricsServer).await?;
        let starts: Vec<f64> = prometheus
            .query(START, None)
            .await?
            .iter()
            .map(|series| series.value)
            .collect();
        same_start(&starts, started)?;
        Ok(format!(
            "up, scraped {:.1} s ago, started at {started} by Prometheus and by its kubelet",
            age.as_secs_f64()
        ))
    })
    .await
}

/// Whether one of the processes is the one that the kubelet started then.
#[expect(
    clippy::cast_precision_loss,
    reason = "seconds of this century are exact"
)]
fn same_start(starts: &[f64], started: Timestamp) -> Result<(), Finding> {
    let started_seconds = started.as_second() as f64;
    if starts
        .iter()
        .any(|start| (start - started_seconds).abs() <= STARTED)
    {
        return Ok(());
    }
    let starts: Vec<_> = starts.iter().map(ToString::to_string).collect();
    Err(Finding::new(
        format!(
            "metrics-server was started at {started}, Prometheus holds the starts [{}]",
            starts.join(", ")
        ),
        "see which address Prometheus scrapes for the job `metrics-server` on its page /targets",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::Measured;

    fn pods(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_same_number_of_other_pods_is_noticed() {
        assert!(same_pods("it", &pods(&["a", "b"]), &pods(&["a", "b"])).is_ok());
        let told = same_pods("it", &pods(&["a", "x"]), &pods(&["a", "b"]));
        assert_eq!(
            told.unwrap_err().reason,
            "it does not know 1 of the 2 pods that run, and knows 1 that do not"
        );
        assert!(same_pods("it", &pods(&[]), &pods(&[])).is_err());
    }

    #[test]
    fn a_measurement_is_of_late_and_within_what_the_node_has() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let node = |age: i64, memory_bytes| NodeUsage {
            node: "n".to_owned(),
            capacity_bytes: 1000,
            measured: Some(Measured {
                at: now - SignedDuration::from_secs(age),
                memory_bytes,
            }),
        };
        assert_eq!(
            measured(&node(20, 400), None, now).as_deref(),
            Ok("n uses 400 of its 1000 bytes of memory")
        );
        for wrong in [node(90, 400), node(20, 0), node(20, 1001)] {
            assert!(measured(&wrong, None, now).is_err(), "{wrong:?}");
        }
        // Under a fault only what was measured since counts.
        assert!(
            measured(
                &node(20, 400),
                Some(now - SignedDuration::from_secs(10)),
                now
            )
            .is_err()
        );
    }

    #[test]
    fn another_process_of_metrics_server_is_noticed() {
        let started = Timestamp::from_second(1_800_000_000).unwrap();
        assert!(same_start(&[1_800_000_001.2], started).is_ok());
        let told = same_start(&[1_700_000_000.0], started).unwrap_err().reason;
        assert!(told.ends_with("holds the starts [1700000000]"), "{told}");
        assert!(same_start(&[], started).is_err());
    }
}
