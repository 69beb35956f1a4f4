//! `status`: what the supervisor knows of each component.

use anstream::{print, println};
use blueprint::Component;
use host::{Control, HostError, Request, UnitStatus};
use verify::{Engine as _, Presence};

use crate::engine;
use terminal::{
    Setting, cli,
    failure::Exit,
    in_own_words,
    status::{
        Report, Row,
        watch::{self, Look},
    },
};

/// Runs the command.
pub async fn run(setting: &Setting, arguments: cli::Status) -> anyhow::Result<Exit> {
    if arguments.watch {
        return watch::run(async || look(setting).await).await;
    }
    let report = report(setting).await?;
    if arguments.json {
        println!("{}", in_own_words(&serde_json::to_string_pretty(&report)?));
    } else {
        print!("{}", report.to_table());
    }
    Ok(Exit::Holds)
}

async fn look(setting: &Setting) -> anyhow::Result<Look> {
    let engine = engine::of(setting).await?;
    Ok(Look {
        report: report(setting).await?,
        prometheus: engine.address(Component::Prometheus, "http").await?,
        alertmanager: engine.address(Component::Alertmanager, "http").await?,
    })
}

/// Each component with its state, version and URL.
pub async fn report(setting: &Setting) -> anyhow::Result<Report> {
    let engine = engine::of(setting).await?;
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
    Ok(Report {
        schema: 1,
        engine: engine.name(),
        lab: setting.lab.name().to_owned(),
        components: Component::ALL.map(row).into(),
        gitops: None,
    })
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
