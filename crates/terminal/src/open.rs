//! `open`: a component's page in the browser, and its address for whoever has none here.

use std::process::{Command, Stdio};

use anstream::println;
use blueprint::Component;

use crate::failure::{Exit, Failure};

/// The desktop's program that opens an address.
const OPENER: &str = if cfg!(target_os = "macos") {
    "open"
} else {
    "xdg-open"
};

/// Prints the address of the component's page and opens it where there is a desktop.
///
/// # Errors
/// When the component has no page on this machine.
pub fn run(component: Component, page: Option<&str>) -> anyhow::Result<Exit> {
    let url = page.ok_or_else(|| {
        Failure::new(
            Exit::Missing,
            format!("{component} has no page on this machine"),
        )
        .hint("`cargo xtask status` lists what is reached where")
    })?;
    println!("{url}");
    // On a machine without a desktop the address is the answer.
    let _ = Command::new(OPENER)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Ok(Exit::Holds)
}
