//! `supervise`: the process that bootstrap leaves behind. It writes to the lab's `supervisor.log`.

use host::supervisor;

use terminal::{Setting, failure::Exit};

/// Runs the supervisor until it is asked to shut down.
pub async fn run(setting: &Setting) -> anyhow::Result<Exit> {
    let file = setting.lab.load_or_create(&lab::Engine::Host)?;
    supervisor::run(setting.lab.clone(), file.instance).await?;
    Ok(Exit::Holds)
}
