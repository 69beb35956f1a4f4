//! The arrows of the diagrams, each an executable claim.

use std::{fmt, str::FromStr};

use crate::{Component, Diagram};

/// An end of an arrow: a component, or a thing that a diagram draws beside the components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// A component of the lab.
    Component(Component),
    /// The machines of the cluster, or the one machine of the host engine.
    Nodes,
    /// The running pods.
    Pods,
    /// The services that are probed from outside.
    Services,
    /// Loki's bucket of chunks and index.
    LokiChunks,
    /// Loki's bucket of rule groups.
    LokiRuler,
    /// Loki's bucket of delete requests.
    LokiAdmin,
    /// The queue of messages that could not be handled.
    DeadLetter,
}

impl Node {
    /// The node's name in the diagrams and in arrow ids.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Component(component) => component.name(),
            Self::Nodes => "nodes",
            Self::Pods => "pods",
            Self::Services => "services",
            Self::LokiChunks => "loki-chunks",
            Self::LokiRuler => "loki-ruler",
            Self::LokiAdmin => "loki-admin",
            Self::DeadLetter => "dead-letter",
        }
    }

    /// The component at this end, if it is one.
    pub const fn component(self) -> Option<Component> {
        match self {
            Self::Component(component) => Some(component),
            _ => None,
        }
    }
}

impl From<Component> for Node {
    fn from(component: Component) -> Self {
        Self::Component(component)
    }
}

/// Declares the arrows once: variant, diagram, ends and the suffix that tells two arrows with the same ends apart.
macro_rules! arrows {
    ($($variant:ident: $diagram:ident, $from:expr => $to:expr $(, $suffix:literal)?;)+) => {
        /// An arrow of a diagram. Its id, `from->to`, is what the command line prints and accepts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[expect(missing_docs, reason = "each variant is named after its two ends")]
        pub enum Arrow { $($variant,)+ }

        impl Arrow {
            /// Every arrow, diagram by diagram.
            pub const ALL: [Self; [$(stringify!($variant)),+].len()] = [$(Self::$variant),+];

            /// The diagram that draws it.
            pub const fn diagram(self) -> Diagram {
                match self { $(Self::$variant => Diagram::$diagram,)+ }
            }

            /// Where it starts.
            pub const fn from(self) -> Node {
                match self { $(Self::$variant => $from,)+ }
            }

            /// Where it ends.
            pub const fn to(self) -> Node {
                match self { $(Self::$variant => $to,)+ }
            }

            /// The label that the diagram writes on the arrow, where two arrows have the same ends.
            pub const fn label(self) -> Option<&'static str> {
                match self { $(Self::$variant => arrows!(@label $($suffix)?),)+ }
            }
        }
    };
    (@label) => { None };
    (@label $suffix:literal) => { Some($suffix) };
}

use Component::*;
use Node::Component as C;

arrows! {
    ArgocdToMetricsServer: Gitops, C(Argocd) => C(MetricsServer);
    ArgocdToMinio: Gitops, C(Argocd) => C(Minio);
    ArgocdToPrometheus: Gitops, C(Argocd) => C(Prometheus);
    ArgocdToBlackbox: Gitops, C(Argocd) => C(Blackbox);
    ArgocdToGrafana: Gitops, C(Argocd) => C(Grafana);
    ArgocdToLoki: Gitops, C(Argocd) => C(Loki);
    ArgocdToPromtail: Gitops, C(Argocd) => C(Promtail);
    ArgocdToPyroscope: Gitops, C(Argocd) => C(Pyroscope);
    ArgocdToRabbitmq: Gitops, C(Argocd) => C(Rabbitmq);

    NodesToNodeExporter: Metrics, Node::Nodes => C(NodeExporter);
    PodsToKubeStateMetrics: Metrics, Node::Pods => C(KubeStateMetrics);
    NodesToMetricsServer: Metrics, Node::Nodes => C(MetricsServer);
    ServicesToBlackbox: Metrics, Node::Services => C(Blackbox);
    NodeExporterToPrometheus: Metrics, C(NodeExporter) => C(Prometheus);
    KubeStateMetricsToPrometheus: Metrics, C(KubeStateMetrics) => C(Prometheus);
    MetricsServerToPrometheus: Metrics, C(MetricsServer) => C(Prometheus);
    BlackboxToPrometheus: Metrics, C(Blackbox) => C(Prometheus);
    PrometheusToGrafana: Metrics, C(Prometheus) => C(Grafana);

    PodsToPromtail: Logs, Node::Pods => C(Promtail);
    PromtailToLoki: Logs, C(Promtail) => C(Loki);
    LokiToMinio: Logs, C(Loki) => C(Minio);
    MinioToLokiChunks: Logs, C(Minio) => Node::LokiChunks;
    MinioToLokiRuler: Logs, C(Minio) => Node::LokiRuler;
    MinioToLokiAdmin: Logs, C(Minio) => Node::LokiAdmin;
    LokiToGrafana: Logs, C(Loki) => C(Grafana);

    ProducerToPyroscope: Profiles, C(Producer) => C(Pyroscope);
    ConsumerToPyroscope: Profiles, C(Consumer) => C(Pyroscope);
    PyroscopeToGrafana: Profiles, C(Pyroscope) => C(Grafana);
    PrometheusToGrafanaCorrelation: Profiles, C(Prometheus) => C(Grafana), "correlation";

    ProducerToRabbitmq: Workload, C(Producer) => C(Rabbitmq);
    RabbitmqToConsumer: Workload, C(Rabbitmq) => C(Consumer);
    RabbitmqToDeadLetter: Workload, C(Rabbitmq) => Node::DeadLetter;
    RabbitmqToPrometheus: Workload, C(Rabbitmq) => C(Prometheus);
    ProducerToPrometheus: Workload, C(Producer) => C(Prometheus);
    ConsumerToPrometheus: Workload, C(Consumer) => C(Prometheus);
    PrometheusToAlertmanager: Workload, C(Prometheus) => C(Alertmanager);
}

impl Arrow {
    /// The id: `from->to`, and ` (label)` behind it where the arrow has a label.
    pub fn id(self) -> String {
        let ends = format!("{}->{}", self.from().name(), self.to().name());
        match self.label() {
            Some(label) => format!("{ends} ({label})"),
            None => ends,
        }
    }
}

impl fmt::Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.id())
    }
}

impl FromStr for Arrow {
    type Err = UnknownArrow;

    fn from_str(id: &str) -> Result<Self, UnknownArrow> {
        Self::ALL
            .into_iter()
            .find(|arrow| arrow.id() == id)
            .ok_or_else(|| UnknownArrow(id.to_owned()))
    }
}

/// An id that no arrow has; its message lists the ids that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownArrow(String);

impl fmt::Display for UnknownArrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no arrow has the id `{}`; the diagrams have", self.0)?;
        for (index, arrow) in Arrow::ALL.into_iter().enumerate() {
            let separator = if index == 0 { " " } else { ", " };
            write!(f, "{separator}{arrow}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownArrow {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_unique_and_reads_back() {
        for arrow in Arrow::ALL {
            assert_eq!(arrow.id().parse(), Ok(arrow));
        }
    }

    #[test]
    fn the_design_draws_thirty_six_arrows() {
        let per_diagram = Diagram::ALL.map(|diagram| {
            Arrow::ALL
                .into_iter()
                .filter(|arrow| arrow.diagram() == diagram)
                .count()
        });
        assert_eq!(per_diagram, [9, 9, 7, 4, 7]);
    }

    #[test]
    fn two_arrows_with_the_same_ends_are_told_apart_by_a_label() {
        assert_eq!(
            Arrow::PrometheusToGrafanaCorrelation.id(),
            "prometheus->grafana (correlation)"
        );
    }
}
