//! The five diagrams of `ARCHITECTURE.md`.

/// One diagram of `ARCHITECTURE.md`. Its number is what reports print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Diagram {
    /// Argo CD applies the components.
    Gitops,
    /// Metrics, from the nodes to Grafana.
    Metrics,
    /// Logs, from the pods through Loki into object storage.
    Logs,
    /// Profiles of the workload.
    Profiles,
    /// Messages of the workload, and the alert that leaves the lab.
    Workload,
}

impl Diagram {
    /// Every diagram in the order of its number.
    pub const ALL: [Self; 5] = [
        Self::Gitops,
        Self::Metrics,
        Self::Logs,
        Self::Profiles,
        Self::Workload,
    ];

    /// The diagram's number, from 1.
    pub const fn number(self) -> u8 {
        match self {
            Self::Gitops => 1,
            Self::Metrics => 2,
            Self::Logs => 3,
            Self::Profiles => 4,
            Self::Workload => 5,
        }
    }

    /// The heading under which `ARCHITECTURE.md` draws it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Gitops => "GitOps",
            Self::Metrics => "Metrics",
            Self::Logs => "Logs",
            Self::Profiles => "Profiles",
            Self::Workload => "Workload",
        }
    }
}
