//! `credentials`: who may log in where, on this lab only.

use anstream::print;
use blueprint::Account;
use verify::{Engine as _, Presence};

use crate::engine;
use terminal::{Setting, failure::Exit, table::Rows};

/// Prints the accounts of the components that this lab has.
pub async fn run(setting: &Setting) -> anyhow::Result<Exit> {
    let engine = engine::of(setting).await?;
    let mut rows = Rows::new(["ACCOUNT", "USER", "PASSWORD", "LOGIN"]);
    for account in Account::ALL {
        let component = account.component();
        if engine.presence(component) != Presence::Present {
            continue;
        }
        let port = match account {
            Account::MinioRoot | Account::MinioLoki => "console",
            Account::RabbitmqOperator => "management",
            _ => component.ports()[0].name,
        };
        let address = engine
            .port(component, port)
            .map(|port| format!("127.0.0.1:{port} ({component})"))
            .unwrap_or_default();
        let password = engine.password(account)?;
        rows.add(
            None,
            [&account.name(), &account.username(), &password, &address],
        );
    }
    print!("{}", rows.text());
    Ok(Exit::Holds)
}
