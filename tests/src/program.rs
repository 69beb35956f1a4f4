//! Real programs that a test starts for itself: on free ports of loopback, ended with the test.

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

use crate::{group::Group, wait};

/// Ports that nobody listens on.
///
/// # Panics
/// When loopback has none left.
pub fn free_ports<const N: usize>() -> [u16; N] {
    // All are held until all are chosen.
    let held = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    held.map(|listener| listener.local_addr().expect("an address").port())
}

/// Starts a program that ends when the result is dropped.
///
/// # Panics
/// When it cannot be started.
pub fn start(program: &Path, arguments: &[String]) -> Group {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Group::start(&mut command)
}

/// The body of the page at `url` as soon as it answers with success.
///
/// # Panics
/// When it does not in time, with its last answer.
pub async fn page(url: &str) -> String {
    wait::until(url, async || {
        let answer = crate::http::client()
            .get(url)
            .send()
            .await
            .map_err(|error| error.to_string())?;
        if answer.status().is_success() {
            return Ok(answer.text().await.expect("a body"));
        }
        Err(answer.status().to_string())
    })
    .await
}
