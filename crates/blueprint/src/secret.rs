//! The Secrets that bootstrap makes on a cluster, beside what Argo CD applies: the manifests refer to them by name.

use crate::{Account, Component};

/// A Secret, the same in each of its namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Its name; an [`Account`]'s own name where it holds that account's password.
    pub name: &'static str,
    /// Where it is read.
    pub namespaces: &'static [&'static str],
    /// Its keys.
    pub keys: &'static [&'static str],
}

/// Keys of a Secret that holds an account.
const LOGIN: &[&str] = &["username", "password"];

const MINIO: &str = Component::Minio.namespace();
const BROKER: &str = Component::Rabbitmq.namespace();
const WORKLOAD: &str = Component::Producer.namespace();

impl Secret {
    /// Every Secret. No pod reads the one of the broker's operator, whose password hash stands in `rabbitmq-users`: people and
    /// verification log in as it.
    pub const ALL: [Self; 8] = [
        Self {
            name: Account::MinioRoot.name(),
            namespaces: &[MINIO],
            keys: LOGIN,
        },
        Self {
            name: Account::MinioLoki.name(),
            namespaces: &[MINIO, Component::Loki.namespace()],
            keys: LOGIN,
        },
        Self {
            name: Account::GrafanaAdmin.name(),
            namespaces: &[Component::Grafana.namespace()],
            keys: LOGIN,
        },
        Self {
            name: Account::RabbitmqProducer.name(),
            namespaces: &[WORKLOAD],
            keys: LOGIN,
        },
        Self {
            name: Account::RabbitmqConsumer.name(),
            namespaces: &[WORKLOAD],
            keys: LOGIN,
        },
        Self {
            name: Account::RabbitmqOperator.name(),
            namespaces: &[BROKER],
            keys: LOGIN,
        },
        Self {
            name: "rabbitmq-users",
            namespaces: &[BROKER],
            keys: &["00-users.json"],
        },
        Self {
            name: "rabbitmq-erlang-cookie",
            namespaces: &[BROKER],
            keys: &["cookie"],
        },
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_has_its_secret() {
        for account in Account::ALL {
            let has = Secret::ALL
                .iter()
                .any(|secret| secret.name == account.name());
            assert!(has, "{account:?}");
        }
    }
}
