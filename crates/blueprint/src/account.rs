//! Who may log in where: the accounts whose passwords are generated for each lab.

use crate::Component;

/// An account of the lab. Its password is made at bootstrap and never stands in a manifest, an image or a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Administers the broker: verification, falsification and people.
    RabbitmqOperator,
    /// May write to the exchange `lab`, nothing else.
    RabbitmqProducer,
    /// May read the queue `work`, nothing else.
    RabbitmqConsumer,
    /// Administers the object store.
    MinioRoot,
    /// May read and write Loki's three buckets, nothing else.
    MinioLoki,
    /// Grafana's administrator.
    GrafanaAdmin,
}

impl Account {
    /// Every account, in the order of the components.
    pub const ALL: [Self; 6] = [
        Self::RabbitmqOperator,
        Self::RabbitmqProducer,
        Self::RabbitmqConsumer,
        Self::MinioRoot,
        Self::MinioLoki,
        Self::GrafanaAdmin,
    ];

    /// The account's name within the lab: the file and Secret that hold its password.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RabbitmqOperator => "rabbitmq-operator",
            Self::RabbitmqProducer => "rabbitmq-producer",
            Self::RabbitmqConsumer => "rabbitmq-consumer",
            Self::MinioRoot => "minio-root",
            Self::MinioLoki => "minio-loki",
            Self::GrafanaAdmin => "grafana-admin",
        }
    }

    /// The name that is typed at the login.
    pub const fn username(self) -> &'static str {
        match self {
            Self::RabbitmqOperator => "operator",
            Self::RabbitmqProducer => "producer",
            Self::RabbitmqConsumer => "consumer",
            Self::MinioRoot => "lab-root",
            Self::MinioLoki => "loki",
            Self::GrafanaAdmin => "admin",
        }
    }

    /// The component that checks the password.
    pub const fn component(self) -> Component {
        match self {
            Self::RabbitmqOperator | Self::RabbitmqProducer | Self::RabbitmqConsumer => {
                Component::Rabbitmq
            }
            Self::MinioRoot | Self::MinioLoki => Component::Minio,
            Self::GrafanaAdmin => Component::Grafana,
        }
    }
}
