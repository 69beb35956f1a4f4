//! `status --watch`: state and figures, redrawn in place on a terminal.

use std::{io::IsTerminal as _, time::Duration};

use anstream::{print, println};
use blueprint::Component;
use tokio::time::sleep;

use super::figures;
use crate::{engine, http};
use terminal::{Setting, failure::Exit};

/// How often the figures are asked for; Prometheus scrapes every five seconds.
const INTERVAL: Duration = Duration::from_secs(2);

/// Shows the lab until Ctrl-C.
pub async fn run(setting: &Setting) -> anyhow::Result<Exit> {
    let client = http::client()?;
    let is_terminal = std::io::stdout().is_terminal();
    loop {
        let frame = frame(setting, &client).await?;
        if is_terminal {
            // ECMA-48: cursor to the top, erase to the end of the screen.
            print!("\x1b[H\x1b[J");
        }
        println!("{frame}");
        tokio::select! {
            () = sleep(INTERVAL) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Exit::Holds),
        }
    }
}

async fn frame(setting: &Setting, client: &reqwest::Client) -> anyhow::Result<String> {
    let engine = engine::of(setting).await?;
    let base = |component| {
        let port = engine.port(component, "http").unwrap_or_default();
        format!("http://127.0.0.1:{port}")
    };
    let mut frame = super::report(setting).await?.to_table();
    frame.push('\n');
    // A component that is down is part of the picture, so its error is shown and the watching goes on.
    match figures::text(client, &base(Component::Prometheus)).await {
        Ok(text) => frame.push_str(&text),
        Err(error) => frame.push_str(&format!("{error:#}\n")),
    }
    let alerts = match figures::alerts(client, &base(Component::Alertmanager)).await {
        Ok(names) => names.join(", "),
        Err(error) => format!("{error:#}"),
    };
    frame.push_str(&format!("{:<16}{alerts}", "firing"));
    Ok(frame)
}
