//! What a script costs, as GNU time and the clock tell it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use tokio::process::Command;

use crate::tools;

/// What a run took.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Cost {
    pub(crate) wall_seconds: f64,
    /// User and system, of the script and all that it started.
    pub(crate) cpu_seconds: f64,
    /// Resident memory of the largest process.
    pub(crate) peak_kib: u64,
}

/// Runs scripts under GNU time.
pub(crate) struct Measure {
    time: PathBuf,
}

impl Measure {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let time =
            tools::find("time").context("GNU time is not on PATH; Debian has it as `time`")?;
        Ok(Self { time })
    }

    /// Runs a script of commands to its end; the first that fails ends it.
    pub(crate) async fn run(&self, script: &str, work: &Path) -> anyhow::Result<Cost> {
        let (file, told) = (work.join("script"), work.join("told"));
        fs::write(&file, script).context("cannot write the script")?;
        // What an earlier run has written is not written during this one.
        let synced = Command::new("sync").status().await;
        ensure!(synced.context("cannot run sync")?.success(), "sync failed");
        let mut command = Command::new(&self.time);
        command
            .args(["--quiet", "--format", "%U %S %M", "--output"])
            .arg(&told)
            .args(["sh", "-eu"])
            .arg(&file)
            // skopeo remembers here, for anyone but root, which blobs a registry has.
            .env("XDG_DATA_HOME", work)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let started = Instant::now();
        let output = command.output().await.context("cannot start GNU time")?;
        let wall_seconds = started.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{}: {}",
            output.status,
            said.trim()
        );
        let told = fs::read_to_string(&told).context("GNU time has told nothing")?;
        read(&told, wall_seconds).with_context(|| format!("GNU time says `{}`", told.trim()))
    }
}

fn read(told: &str, wall_seconds: f64) -> anyhow::Result<Cost> {
    let mut fields = told.split_whitespace();
    let mut field = || fields.next().context("it has three figures");
    let user: f64 = field()?.parse()?;
    let system: f64 = field()?.parse()?;
    Ok(Cost {
        wall_seconds,
        cpu_seconds: user + system,
        peak_kib: field()?.parse()?,
    })
}
