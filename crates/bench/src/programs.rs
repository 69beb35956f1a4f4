//! The measured programs, built as they are shipped.

use std::{path::PathBuf, process::Stdio};

use anstream::eprintln;
use anyhow::Context as _;
use terminal::{
    Setting,
    failure::{Exit, Failure},
};
use tokio::process::Command;

/// Where the producer and the consumer are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The producer.
    pub producer: PathBuf,
    /// The consumer.
    pub consumer: PathBuf,
}

/// The producer and the consumer: built by cargo in the release profile in a workspace, installed otherwise.
///
/// # Errors
///
/// They cannot be built, or are not there.
pub async fn find(setting: &Setting) -> anyhow::Result<Programs> {
    let directory = if setting.is_workspace {
        build(setting).await?;
        // This program lies in target/PROFILE.
        setting.programs.with_file_name("release")
    } else {
        setting.programs.clone()
    };
    let program = |name: &str| {
        let path = directory.join(name);
        if path.is_file() {
            return Ok(path);
        }
        Err(Failure::new(
            Exit::Missing,
            format!("the program {} is missing", path.display()),
        )
        .hint("install the lab again; its programs lie in one directory"))
    };
    Ok(Programs {
        producer: program("producer")?,
        consumer: program("consumer")?,
    })
}

async fn build(setting: &Setting) -> anyhow::Result<()> {
    eprintln!("Building the producer and the consumer in the release profile");
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(&setting.root)
        .args(["build", "--quiet", "--release"])
        .args(["--package", "producer", "--package", "consumer"])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .context("cannot run cargo")?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Unexpected,
        format!("cargo cannot build the workload: {status}"),
    )
    .hint("its messages stand above; after mending them run the same command again")
    .into())
}
