//! From an arrow to its probe: what it needs, how long it may take, and the function that asks.

use std::time::Duration;

use blueprint::{Arrow, Component};

use crate::{
    cluster_metrics,
    context::Context,
    engine::{Engine, Presence},
    finding::{Finding, Probed},
    gitops, logs, metrics, profiles, workload,
};

/// Asks the lab whether the arrow holds. The match is exhaustive: an arrow without a probe does not compile.
pub(crate) async fn probe(arrow: Arrow, context: &Context<'_>) -> Probed {
    match arrow {
        Arrow::ArgocdToMetricsServer => gitops::applied(context, Component::MetricsServer).await,
        Arrow::ArgocdToMinio => gitops::applied(context, Component::Minio).await,
        Arrow::ArgocdToPrometheus => gitops::applied(context, Component::Prometheus).await,
        Arrow::ArgocdToBlackbox => gitops::applied(context, Component::Blackbox).await,
        Arrow::ArgocdToGrafana => gitops::applied(context, Component::Grafana).await,
        Arrow::ArgocdToLoki => gitops::applied(context, Component::Loki).await,
        Arrow::ArgocdToPromtail => gitops::applied(context, Component::Promtail).await,
        Arrow::ArgocdToPyroscope => gitops::applied(context, Component::Pyroscope).await,
        Arrow::ArgocdToRabbitmq => gitops::applied(context, Component::Rabbitmq).await,

        Arrow::NodesToNodeExporter => metrics::nodes_to_node_exporter(context).await,
        Arrow::PodsToKubeStateMetrics => cluster_metrics::pods_to_kube_state_metrics(context).await,
        Arrow::NodesToMetricsServer => cluster_metrics::nodes_to_metrics_server(context).await,
        Arrow::KubeStateMetricsToPrometheus => {
            cluster_metrics::kube_state_metrics_to_prometheus(context).await
        }
        Arrow::MetricsServerToPrometheus => {
            cluster_metrics::metrics_server_to_prometheus(context).await
        }
        Arrow::ServicesToBlackbox => metrics::services_to_blackbox(context).await,
        Arrow::NodeExporterToPrometheus => metrics::node_exporter_to_prometheus(context).await,
        Arrow::BlackboxToPrometheus => metrics::blackbox_to_prometheus(context).await,
        Arrow::PrometheusToGrafana => metrics::prometheus_to_grafana(context).await,

        Arrow::PodsToPromtail => logs::pods_to_promtail(context).await,
        Arrow::PromtailToLoki => logs::promtail_to_loki(context).await,
        Arrow::LokiToMinio => logs::loki_to_minio(context).await,
        Arrow::MinioToLokiChunks => logs::minio_to_loki_chunks(context).await,
        Arrow::MinioToLokiRuler => logs::minio_to_loki_ruler(context).await,
        Arrow::MinioToLokiAdmin => logs::minio_to_loki_admin(context).await,
        Arrow::LokiToGrafana => logs::loki_to_grafana(context).await,

        Arrow::ProducerToPyroscope => profiles::producer_to_pyroscope(context).await,
        Arrow::ConsumerToPyroscope => profiles::consumer_to_pyroscope(context).await,
        Arrow::PyroscopeToGrafana => profiles::pyroscope_to_grafana(context).await,
        Arrow::PrometheusToGrafanaCorrelation => profiles::correlation(context).await,

        Arrow::ProducerToRabbitmq => workload::producer_to_rabbitmq(context).await,
        Arrow::RabbitmqToConsumer => workload::rabbitmq_to_consumer(context).await,
        Arrow::RabbitmqToDeadLetter => workload::rabbitmq_to_dead_letter(context).await,
        Arrow::RabbitmqToPrometheus => workload::rabbitmq_to_prometheus(context).await,
        Arrow::ProducerToPrometheus => workload::producer_to_prometheus(context).await,
        Arrow::ConsumerToPrometheus => workload::consumer_to_prometheus(context).await,
        Arrow::PrometheusToAlertmanager => workload::prometheus_to_alertmanager(context).await,
    }
}

/// How long the arrow's probe waits for its condition. A lab in order is proven in a fraction of this.
pub(crate) fn patience(arrow: Arrow) -> Duration {
    const USUAL: Duration = Duration::from_secs(20);
    /// The agent pushes every 10 s, and Pyroscope answers from what it has ingested.
    const PUSHED: Duration = Duration::from_secs(45);
    /// metrics-server asks the kubelets every 15 s, and the API server keeps asking one that is gone for a while.
    const MEASURED: Duration = Duration::from_secs(45);
    /// Loki uploads its delete requests every 5 minutes.
    const UPLOADED: Duration = Duration::from_secs(335);

    match arrow {
        Arrow::ProducerToPyroscope
        | Arrow::ConsumerToPyroscope
        | Arrow::PyroscopeToGrafana
        | Arrow::PrometheusToGrafanaCorrelation => PUSHED,
        Arrow::NodesToMetricsServer => MEASURED,
        Arrow::MinioToLokiAdmin => UPLOADED,
        _ => USUAL,
    }
}

/// How long the content that the probe waits for takes at worst in a lab in order, because something comes only every so
/// often. Nothing can be called missing sooner.
pub(crate) fn cadence(arrow: Arrow) -> Duration {
    /// A scrape every 5 s, also of a component that was just restarted.
    const SCRAPED: Duration = Duration::from_secs(6);
    /// The agent pushes every 10 s, and the first push may cover 10 s that began before the question.
    const PUSHED: Duration = Duration::from_secs(24);
    /// Prometheus sends a firing alert again at every evaluation, or at every second one.
    const SENT: Duration = Duration::from_secs(12);

    /// A round of metrics-server, and one that had begun.
    const MEASURED: Duration = Duration::from_secs(32);

    match arrow {
        Arrow::ProducerToPyroscope | Arrow::ConsumerToPyroscope => PUSHED,
        Arrow::NodesToMetricsServer => MEASURED,
        Arrow::PrometheusToAlertmanager => SENT,
        _ => SCRAPED,
    }
}

/// The components that have to be there for the probe: both ends, and what the evidence passes on its way.
fn needs(arrow: Arrow) -> Vec<Component> {
    use Component::*;

    const TRACER: [Component; 3] = [Producer, Rabbitmq, Consumer];
    let mut needs: Vec<_> = [arrow.from().component(), arrow.to().component()]
        .into_iter()
        .flatten()
        .collect();
    match arrow {
        Arrow::ServicesToBlackbox => needs.push(Prometheus),
        Arrow::PodsToPromtail => needs.extend(TRACER),
        Arrow::PromtailToLoki => needs.extend(TRACER),
        Arrow::LokiToGrafana => {
            needs.push(Promtail);
            needs.extend(TRACER);
        }
        Arrow::MinioToLokiChunks | Arrow::MinioToLokiRuler | Arrow::MinioToLokiAdmin => {
            needs.push(Loki);
        }
        Arrow::PyroscopeToGrafana => needs.push(Producer),
        Arrow::PrometheusToGrafanaCorrelation => needs.extend([Pyroscope, Producer]),
        Arrow::RabbitmqToConsumer => needs.push(Producer),
        Arrow::RabbitmqToDeadLetter => needs.extend([Producer, Consumer]),
        Arrow::PrometheusToAlertmanager => needs.push(Consumer),
        _ => {}
    }
    needs
}

/// Why the arrow does not exist in this engine or on this machine, if it does not. Of several absent components the first
/// is told; each other one is the first of another arrow.
pub(crate) fn absence(arrow: Arrow, engine: &dyn Engine) -> Option<Finding> {
    needs(arrow)
        .into_iter()
        .find_map(|component| match engine.presence(component) {
            Presence::Present => None,
            Presence::Absent { reason, remedy } => Some(Finding { reason, remedy }),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_needs_its_ends() {
        for arrow in Arrow::ALL {
            for end in [arrow.from(), arrow.to()] {
                if let Some(component) = end.component() {
                    assert!(needs(arrow).contains(&component), "{arrow}");
                }
            }
        }
    }

    #[test]
    fn every_arrow_needs_at_least_one_component() {
        for arrow in Arrow::ALL {
            assert!(!needs(arrow).is_empty(), "{arrow}");
        }
    }
}
