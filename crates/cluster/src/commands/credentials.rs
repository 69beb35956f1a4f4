//! `credentials`: who may log in where, on this lab only.

use anstream::print;
use blueprint::Account;
use terminal::{failure::Exit, table::Rows};

use crate::{Site, argocd, secrets};

/// Prints every account with its password, and Argo CD's administrator.
///
/// # Errors
/// When a Secret is missing or the API server refuses.
pub async fn run(site: &Site) -> anyhow::Result<Exit> {
    let mut rows = Rows::new(["ACCOUNT", "USER", "PASSWORD", "LOGIN"]);
    let login = |owner: &str| {
        let port = site.file.ports.get(owner);
        port.map(|port| format!("http://127.0.0.1:{port}"))
            .unwrap_or_default()
    };
    for account in Account::ALL {
        let password = secrets::password(&site.kube, account).await?;
        let owner = match account {
            Account::MinioRoot | Account::MinioLoki => "minio/console",
            Account::RabbitmqOperator | Account::RabbitmqProducer | Account::RabbitmqConsumer => {
                "rabbitmq/management"
            }
            Account::GrafanaAdmin => "grafana/http",
        };
        rows.add(
            None,
            [
                &account.name(),
                &account.username(),
                &password,
                &login(owner),
            ],
        );
    }
    if let Some(password) = argocd::initial_password(&site.kube).await? {
        rows.add(
            None,
            [&"argocd-admin", &"admin", &password, &login("argocd/http")],
        );
    }
    print!("{}", rows.text());
    Ok(Exit::Holds)
}
