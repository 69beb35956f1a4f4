//! `status`: what the supervisor knows of each component.

mod figures;
mod watch;

use anstream::{print, println};
use anstyle::AnsiColor;
use blueprint::Component;
use host::{Control, HostError, Request, UnitStatus};
use serde::Serialize;
use verify::{Engine as _, Presence};

use crate::{cli, failure::Exit, setting::Setting, table::Rows};

/// `status --json`. Fields may be added; none is removed or renamed.
#[derive(Debug, Serialize)]
struct Report {
    schema: u32,
    engine: &'static str,
    lab: String,
    components: Vec<Row>,
}

/// One component.
#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    /// A state of the supervisor's unit, `stopped` in a lab that is down, or `absent`.
    state: String,
    version: Option<String>,
    url: Option<String>,
    reason: Option<String>,
}

/// Runs the command.
pub async fn run(setting: &Setting, arguments: cli::Status) -> anyhow::Result<Exit> {
    if arguments.watch {
        return watch::run(setting).await;
    }
    if arguments.json {
        let report = Report {
            schema: 1,
            engine: "host",
            lab: setting.lab.name().to_owned(),
            components: rows(setting).await?,
        };
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{}", table(setting).await?);
    }
    Ok(Exit::Holds)
}

/// Each component with its state, version and URL, as a table.
pub async fn table(setting: &Setting) -> anyhow::Result<String> {
    let mut table = Rows::new(["COMPONENT", "STATE", "VERSION", "URL", "REASON"]);
    for row in rows(setting).await? {
        let color = match row.state.as_str() {
            "ready" => Some(AnsiColor::Green),
            "absent" | "stopped" => None,
            "back-off" => Some(AnsiColor::Red),
            _ => Some(AnsiColor::Yellow),
        };
        let text = Option::unwrap_or_default;
        let (version, url, reason) = (text(row.version), text(row.url), text(row.reason));
        table.add(color, [&row.name, &row.state, &version, &url, &reason]);
    }
    Ok(table.text())
}

async fn rows(setting: &Setting) -> anyhow::Result<Vec<Row>> {
    let engine = setting.engine().await?;
    let units = match Control::of(&setting.lab).ask(&Request::Status).await {
        Ok(units) => Some(units),
        Err(HostError::NotRunning { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let row = |component: Component| match engine.presence(component) {
        Presence::Absent { reason, .. } => Row {
            name: component.name(),
            state: "absent".to_owned(),
            version: None,
            url: None,
            reason: Some(reason),
        },
        Presence::Present => {
            let port = engine.port(component, component.ports()[0].name);
            let url = port.map(|port| url(component, port));
            present(component, url, units.as_deref())
        }
    };
    Ok(Component::ALL.map(row).into())
}

fn present(component: Component, url: Option<String>, units: Option<&[UnitStatus]>) -> Row {
    let status = units.and_then(|units| {
        units
            .iter()
            .find(|status| status.unit.name == component.name())
    });
    Row {
        name: component.name(),
        state: status
            .map_or("stopped", |status| status.state.name())
            .to_owned(),
        version: status.map(|status| status.unit.version.clone()),
        url,
        reason: match (status, units) {
            (Some(status), _) => status.reason.clone(),
            (None, Some(_)) => {
                Some("not started yet: run `cargo xtask bootstrap` again".to_owned())
            }
            (None, None) => Some("the lab is down".to_owned()),
        },
    }
}

fn url(component: Component, port: u16) -> String {
    let scheme = match component {
        Component::Rabbitmq => "amqp",
        _ => "http",
    };
    format!("{scheme}://127.0.0.1:{port}")
}
