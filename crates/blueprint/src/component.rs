//! The components of the lab: name, namespace, kind of workload, ports.

use std::{fmt, str::FromStr};

/// A named TCP port of a component; service and container use the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// The port's name in manifests and on the command line.
    pub name: &'static str,
    /// The TCP port number.
    pub number: u16,
}

/// What runs a component on Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadKind {
    /// Argo CD's own installation: several workloads, applied from upstream's manifest.
    Upstream,
    /// A Deployment.
    Deployment,
    /// A StatefulSet.
    StatefulSet,
    /// A DaemonSet.
    DaemonSet,
}

/// A component of the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    missing_docs,
    reason = "each variant is the product of the same name; the component table is `name` and its siblings"
)]
pub enum Component {
    Argocd,
    MetricsServer,
    Minio,
    Prometheus,
    Alertmanager,
    NodeExporter,
    KubeStateMetrics,
    Blackbox,
    Grafana,
    Loki,
    Promtail,
    Pyroscope,
    Rabbitmq,
    Producer,
    Consumer,
}

const fn port(name: &'static str, number: u16) -> Port {
    Port { name, number }
}

impl Component {
    /// Every component, in the order in which the design lists them.
    pub const ALL: [Self; 15] = [
        Self::Argocd,
        Self::MetricsServer,
        Self::Minio,
        Self::Prometheus,
        Self::Alertmanager,
        Self::NodeExporter,
        Self::KubeStateMetrics,
        Self::Blackbox,
        Self::Grafana,
        Self::Loki,
        Self::Promtail,
        Self::Pyroscope,
        Self::Rabbitmq,
        Self::Producer,
        Self::Consumer,
    ];

    /// The component's name: its directory under `manifests/`, its Service, its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Argocd => "argocd",
            Self::MetricsServer => "metrics-server",
            Self::Minio => "minio",
            Self::Prometheus => "prometheus",
            Self::Alertmanager => "alertmanager",
            Self::NodeExporter => "node-exporter",
            Self::KubeStateMetrics => "kube-state-metrics",
            Self::Blackbox => "blackbox",
            Self::Grafana => "grafana",
            Self::Loki => "loki",
            Self::Promtail => "promtail",
            Self::Pyroscope => "pyroscope",
            Self::Rabbitmq => "rabbitmq",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }

    /// The Kubernetes namespace it lives in.
    pub const fn namespace(self) -> &'static str {
        match self {
            Self::Argocd => "argocd",
            Self::MetricsServer => "kube-system",
            Self::Minio => "minio",
            Self::Prometheus | Self::Alertmanager | Self::NodeExporter | Self::KubeStateMetrics => {
                "prometheus"
            }
            Self::Blackbox => "blackbox",
            Self::Grafana => "grafana",
            Self::Loki => "loki",
            Self::Promtail => "promtail",
            Self::Pyroscope => "pyroscope",
            Self::Rabbitmq => "rabbitmq",
            Self::Producer | Self::Consumer => "rabbitmq-rust-app",
        }
    }

    /// What runs it on Kubernetes.
    pub const fn kind(self) -> WorkloadKind {
        match self {
            Self::Argocd => WorkloadKind::Upstream,
            Self::MetricsServer
            | Self::KubeStateMetrics
            | Self::Blackbox
            | Self::Grafana
            | Self::Producer
            | Self::Consumer => WorkloadKind::Deployment,
            Self::Minio
            | Self::Prometheus
            | Self::Alertmanager
            | Self::Loki
            | Self::Pyroscope
            | Self::Rabbitmq => WorkloadKind::StatefulSet,
            Self::NodeExporter | Self::Promtail => WorkloadKind::DaemonSet,
        }
    }

    /// Its ports; the first is the one that people and probes mean when they name only the component.
    pub const fn ports(self) -> &'static [Port] {
        const ARGOCD: &[Port] = &[port("http", 8080)];
        const METRICS_SERVER: &[Port] = &[port("https", 10250)];
        const MINIO: &[Port] = &[port("api", 9000), port("console", 9001)];
        const PROMETHEUS: &[Port] = &[port("http", 9090)];
        const ALERTMANAGER: &[Port] = &[port("http", 9093)];
        const NODE_EXPORTER: &[Port] = &[port("metrics", 9100)];
        const KUBE_STATE_METRICS: &[Port] = &[port("metrics", 8080)];
        const BLACKBOX: &[Port] = &[port("http", 9115)];
        const GRAFANA: &[Port] = &[port("http", 3000)];
        const LOKI: &[Port] = &[port("http", 3100)];
        const PROMTAIL: &[Port] = &[port("http", 3101)];
        const PYROSCOPE: &[Port] = &[port("http", 4040)];
        const RABBITMQ: &[Port] = &[
            port("amqp", 5672),
            port("management", 15672),
            port("prometheus", 15692),
        ];
        const WORKLOAD: &[Port] = &[port("admin", 9464)];
        match self {
            Self::Argocd => ARGOCD,
            Self::MetricsServer => METRICS_SERVER,
            Self::Minio => MINIO,
            Self::Prometheus => PROMETHEUS,
            Self::Alertmanager => ALERTMANAGER,
            Self::NodeExporter => NODE_EXPORTER,
            Self::KubeStateMetrics => KUBE_STATE_METRICS,
            Self::Blackbox => BLACKBOX,
            Self::Grafana => GRAFANA,
            Self::Loki => LOKI,
            Self::Promtail => PROMTAIL,
            Self::Pyroscope => PYROSCOPE,
            Self::Rabbitmq => RABBITMQ,
            Self::Producer | Self::Consumer => WORKLOAD,
        }
    }

    /// The host name of its Service inside the cluster, `<name>.<namespace>.svc`; configuration files use no other.
    pub fn service_host(self) -> String {
        format!("{}.{}.svc", self.name(), self.namespace())
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Component {
    type Err = UnknownComponent;

    fn from_str(name: &str) -> Result<Self, UnknownComponent> {
        Self::ALL
            .into_iter()
            .find(|component| component.name() == name)
            .ok_or_else(|| UnknownComponent(name.to_owned()))
    }
}

/// A name that no component has; its message lists the names that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownComponent(String);

impl fmt::Display for UnknownComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no component is named `{}`; the lab has", self.0)?;
        for (index, component) in Component::ALL.into_iter().enumerate() {
            let separator = if index == 0 { " " } else { ", " };
            write!(f, "{separator}{component}")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownComponent {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for component in Component::ALL {
            assert_eq!(component.name().parse(), Ok(component));
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let message = "rabbit".parse::<Component>().unwrap_err().to_string();
        assert!(message.contains("`rabbit`"), "{message}");
        assert!(
            message.contains("argocd") && message.contains("consumer"),
            "{message}"
        );
    }

    #[test]
    fn no_two_components_of_a_namespace_share_a_name() {
        let mut names: Vec<_> = Component::ALL.map(Component::service_host).into();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Component::ALL.len());
    }
}
