//! Real programs that a test starts for itself: on free ports of loopback, ended with the test.

use std::{net::TcpListener, path::Path, process::Stdio, time::Duration};

use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

/// How long a program may take until it answers, on a machine that is busy with the other tests.
const START: Duration = Duration::from_secs(60);

/// How often it is asked.
const LOOK: Duration = Duration::from_millis(100);

/// A port that nobody listens on.
///
/// # Panics
/// When loopback has none left.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Starts a program that ends when the result is dropped.
///
/// # Panics
/// When it cannot be started.
pub fn start(program: &Path, arguments: &[String]) -> Child {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()))
}

/// The body of the page at `url` as soon as it answers with success.
///
/// # Panics
/// When it does not within a minute, with its last answer.
pub async fn page(url: &str) -> String {
    let deadline = Instant::now() + START;
    loop {
        let last = match reqwest::get(url).await {
            Ok(answer) if answer.status().is_success() => {
                return answer.text().await.expect("a body");
            }
            Ok(answer) => answer.status().to_string(),
            Err(error) => error.to_string(),
        };
        assert!(Instant::now() < deadline, "{url}: {last}");
        sleep(LOOK).await;
    }
}
