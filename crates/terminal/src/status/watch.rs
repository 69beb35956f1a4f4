//! `status --watch`: state and figures, redrawn in place on a terminal.

use std::{io::IsTerminal as _, net::SocketAddr, time::Duration};

use anstream::{print, println};
use tokio::time::sleep;

use super::{Report, figures};
use crate::{failure::Exit, http};

/// How often the figures are asked for; Prometheus scrapes every five seconds.
const INTERVAL: Duration = Duration::from_secs(2);

/// What one look at the lab gives.
pub struct Look {
    /// The lab.
    pub report: Report,
    /// Where its Prometheus answers.
    pub prometheus: SocketAddr,
    /// Where its Alertmanager answers.
    pub alertmanager: SocketAddr,
}

/// Shows the lab until Ctrl-C.
///
/// # Errors
/// What looking at the lab says.
pub async fn run(mut look: impl AsyncFnMut() -> anyhow::Result<Look>) -> anyhow::Result<Exit> {
    let client = http::client()?;
    let is_terminal = std::io::stdout().is_terminal();
    loop {
        let frame = frame(look().await?, &client).await;
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

async fn frame(look: Look, client: &reqwest::Client) -> String {
    let mut frame = look.report.to_table();
    frame.push('\n');
    // A component that is down is part of the picture, so its error is shown and the watching goes on.
    match figures::text(client, &format!("http://{}", look.prometheus)).await {
        Ok(text) => frame.push_str(&text),
        Err(error) => frame.push_str(&format!("{error:#}\n")),
    }
    let alerts = match figures::alerts(client, &format!("http://{}", look.alertmanager)).await {
        Ok(names) => names.join(", "),
        Err(error) => format!("{error:#}"),
    };
    frame.push_str(&format!("{:<16}{alerts}", "firing"));
    frame
}
