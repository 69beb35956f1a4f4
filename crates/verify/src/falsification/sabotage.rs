//! How each arrow is broken on purpose, by the most precise means there is.

use std::fmt;

use blueprint::{Account, Arrow, Component, Node};

use crate::engine::Fault;

/// A way to break an arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// The engine does it.
    Engine(Fault),
    /// The broker's user may do nothing, and its connections are closed.
    PermissionRevoked(Account),
    /// The queue `work` has no dead-letter exchange: what reaches its delivery limit is dropped. Unbinding the queue of
    /// dead letters would keep it, but RabbitMQ tries to route it again only 3 minutes later, into a healed lab.
    DeadLettersDropped,
    /// The bucket takes no further object.
    BucketFull(Node),
    /// The object store lets the user in no more.
    UserDisabled(Account),
    /// The object with Loki's delete requests is gone from its bucket.
    DeleteRequestsRemoved,
}

impl Sabotage {
    /// The sabotage of an arrow. The match is exhaustive: an arrow that nothing breaks does not compile.
    pub(crate) const fn of(arrow: Arrow) -> Self {
        use Component::*;

        const fn cut(from: Component, to: Component) -> Sabotage {
            Sabotage::Engine(Fault::LinkCut { from, to })
        }
        const fn stop(component: Component) -> Sabotage {
            Sabotage::Engine(Fault::Stopped(component))
        }

        match arrow {
            Arrow::ArgocdToMetricsServer => cut(Argocd, MetricsServer),
            Arrow::ArgocdToMinio => cut(Argocd, Minio),
            Arrow::ArgocdToPrometheus => cut(Argocd, Prometheus),
            Arrow::ArgocdToBlackbox => cut(Argocd, Blackbox),
            Arrow::ArgocdToGrafana => cut(Argocd, Grafana),
            Arrow::ArgocdToLoki => cut(Argocd, Loki),
            Arrow::ArgocdToPromtail => cut(Argocd, Promtail),
            Arrow::ArgocdToPyroscope => cut(Argocd, Pyroscope),
            Arrow::ArgocdToRabbitmq => cut(Argocd, Rabbitmq),

            // The machine's memory cannot be changed, so its reporter is taken away.
            Arrow::NodesToNodeExporter => stop(NodeExporter),
            Arrow::PodsToKubeStateMetrics => stop(KubeStateMetrics),
            Arrow::NodesToMetricsServer => stop(MetricsServer),
            // One of the services that are probed; blackbox itself runs on.
            Arrow::ServicesToBlackbox => stop(Alertmanager),
            Arrow::NodeExporterToPrometheus => cut(Prometheus, NodeExporter),
            Arrow::KubeStateMetricsToPrometheus => cut(Prometheus, KubeStateMetrics),
            Arrow::MetricsServerToPrometheus => cut(Prometheus, MetricsServer),
            Arrow::BlackboxToPrometheus => cut(Prometheus, Blackbox),
            Arrow::PrometheusToGrafana => cut(Grafana, Prometheus),

            Arrow::PodsToPromtail => Self::Engine(Fault::LogsHidden),
            Arrow::PromtailToLoki => cut(Promtail, Loki),
            Arrow::LokiToMinio => Self::UserDisabled(Account::MinioLoki),
            Arrow::MinioToLokiChunks => Self::BucketFull(Node::LokiChunks),
            Arrow::MinioToLokiRuler => Self::BucketFull(Node::LokiRuler),
            // A full bucket would be noticed at the next upload, 5 minutes later.
            Arrow::MinioToLokiAdmin => Self::DeleteRequestsRemoved,
            Arrow::LokiToGrafana => cut(Grafana, Loki),

            Arrow::ProducerToPyroscope => cut(Producer, Pyroscope),
            Arrow::ConsumerToPyroscope => cut(Consumer, Pyroscope),
            Arrow::PyroscopeToGrafana => cut(Grafana, Pyroscope),
            Arrow::PrometheusToGrafanaCorrelation => Self::Engine(Fault::Unlabelled(Producer)),

            Arrow::ProducerToRabbitmq => Self::PermissionRevoked(Account::RabbitmqProducer),
            Arrow::RabbitmqToConsumer => Self::PermissionRevoked(Account::RabbitmqConsumer),
            Arrow::RabbitmqToDeadLetter => Self::DeadLettersDropped,
            Arrow::RabbitmqToPrometheus => cut(Prometheus, Rabbitmq),
            Arrow::ProducerToPrometheus => cut(Prometheus, Producer),
            Arrow::ConsumerToPrometheus => cut(Prometheus, Consumer),
            Arrow::PrometheusToAlertmanager => cut(Prometheus, Alertmanager),
        }
    }
}

impl fmt::Display for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine(fault) => fault.fmt(f),
            Self::PermissionRevoked(account) => {
                write!(f, "{} without permissions", account.name())
            }
            Self::DeadLettersDropped => f.write_str("dead letters dropped"),
            Self::BucketFull(bucket) => write!(f, "bucket {} full", bucket.name()),
            Self::UserDisabled(account) => write!(f, "{} locked out", account.name()),
            Self::DeleteRequestsRemoved => f.write_str("object of delete requests removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sabotage_breaks_two_arrows() {
        // Else a probe that watches the other arrow could be taken for this one's.
        for (index, one) in Arrow::ALL.into_iter().enumerate() {
            for other in &Arrow::ALL[index + 1..] {
                assert_ne!(Sabotage::of(one), Sabotage::of(*other), "{one} and {other}");
            }
        }
    }

    #[test]
    fn a_cut_link_belongs_to_an_end_of_its_arrow() {
        for arrow in Arrow::ALL {
            let ends = [arrow.from().component(), arrow.to().component()];
            if let Sabotage::Engine(Fault::LinkCut { from, to }) = Sabotage::of(arrow) {
                assert!(
                    ends.contains(&Some(from)) && ends.contains(&Some(to)),
                    "{arrow}"
                );
            }
        }
    }
}
