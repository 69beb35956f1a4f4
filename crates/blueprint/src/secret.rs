//! The Secrets that bootstrap makes on a cluster, beside what Argo CD applies: the manifests refer to them by name.

/// A Secret, the same in each of its namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Its name; an [`Account`](crate::Account)'s own name where it holds that account's password.
    pub name: &'static str,
    /// Where it is read.
    pub namespaces: &'static [&'static str],
    /// Its keys.
    pub keys: &'static [&'static str],
}

/// Keys of a Secret that holds an account.
const LOGIN: &[&str] = &["username", "password"];

impl Secret {
    /// Every Secret. The broker's operator has none: its password hash stands in `rabbitmq-users`, and only people and
    /// verification log in as it.
    pub const ALL: [Self; 7] = [
        Self {
            name: "minio-root",
            namespaces: &["minio"],
            keys: LOGIN,
        },
        Self {
            name: "minio-loki",
            namespaces: &["minio", "loki"],
            keys: LOGIN,
        },
        Self {
            name: "grafana-admin",
            namespaces: &["grafana"],
            keys: LOGIN,
        },
        Self {
            name: "rabbitmq-producer",
            namespaces: &["rabbitmq-rust-app"],
            keys: LOGIN,
        },
        Self {
            name: "rabbitmq-consumer",
            namespaces: &["rabbitmq-rust-app"],
            keys: LOGIN,
        },
        Self {
            name: "rabbitmq-users",
            namespaces: &["rabbitmq"],
            keys: &["00-users.json"],
        },
        Self {
            name: "rabbitmq-erlang-cookie",
            namespaces: &["rabbitmq"],
            keys: &["cookie"],
        },
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Account;

    #[test]
    fn every_account_but_the_operator_has_its_secret() {
        for account in Account::ALL {
            let has = Secret::ALL
                .iter()
                .any(|secret| secret.name == account.name());
            assert_eq!(has, account != Account::RabbitmqOperator, "{account:?}");
        }
    }
}
