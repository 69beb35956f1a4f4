//! Moving images between registries and one place on a disk: bundles beside the layouts of skopeo and crane, in one run.
//!
//! ```console
//! $ cargo bench --package oci --bench transfer
//! $ cargo bench --package oci --bench transfer -- --mib 64 --rounds 1 --json transfer.json
//! ```
//!
//! Twenty images with shared layers are made, the same on every machine. Each round moves them once by each tool, one tool
//! after the other, so that what else the machine does falls on all of them: from a registry into an OCI layout, from a
//! layout into an empty registry, from a registry into an empty one. In a layout's place there is a bundle for this crate.
//! `docker-registry` and GNU `time` must be on `PATH`;
//! of skopeo and crane those take part that are.
//!
//! Wall time is that of all images. CPU time (user and system) and peak memory (of the largest process) are those of the
//! tool, without the registries'. skopeo and crane run once an image, as a script would call them. Nothing is dropped from
//! the page cache: what is read comes from memory. What a run has written is on the disk before the next begins.
//!
//! After each run every digest at the destination is compared and every blob there is read and hashed; the first wrong one
//! ends the bench.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report is what a benchmark is for"
)]

mod check;
mod images;
mod measure;
mod ours;
mod report;
mod server;
mod tools;

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use clap::Parser;

use images::Images;
use measure::Measure;
use report::{Report, Run, System};
use server::Server;
use tools::{Places, Task, Tool};

/// Move images with this crate, skopeo and crane, and compare what it costs
#[derive(Debug, Parser)]
struct Arguments {
    /// Size of all images together, each layer counted once
    #[arg(long, default_value_t = 2048, value_parser = clap::value_parser!(u64).range(1..))]
    mib: u64,
    /// How often each tool does each task
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Write the report as one JSON object, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Whoever speaks HTTP here does so with this.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut arguments = std::env::args();
    if arguments.nth(1).as_deref() == Some(ours::COMMAND) {
        return ours::run(arguments.collect()).await;
    }
    let arguments = Arguments::parse();
    tokio::select! {
        // First, so that it is listened for from the beginning. What is dropped ends its registries and removes its
        // directories.
        biased;
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        result = compare(&arguments) => result,
    }
}

async fn compare(arguments: &Arguments) -> anyhow::Result<()> {
    let registry = tools::find("docker-registry")
        .context("docker-registry is not on PATH; Debian has it under this name")?;
    let measure = Measure::new()?;
    let tools = Tool::present();
    let work = tempfile::tempdir().context("cannot make a directory")?;
    let images = Images::make(&work.path().join("images"), arguments.mib << 20)?;
    let source = Server::start(&registry, work.path()).await?;
    images.push(&source).await?;
    ours::pack(&images, &images.bundle).await?;
    let system = System::of(&registry, &tools);
    eprintln!(
        "{} images, {} blobs, {} MiB, in {}",
        images.names.len(),
        images.blobs.len(),
        images.bytes >> 20,
        work.path().display()
    );
    let mut runs = Vec::new();
    for task in Task::ALL {
        for round in 1..=arguments.rounds {
            for tool in tools.iter().filter(|tool| tool.does(task)) {
                let target = Server::start(&registry, work.path()).await?;
                let layout = work.path().join("layout");
                let places = Places {
                    images: &images,
                    source: source.address(),
                    target: target.address(),
                    layout: &layout,
                    work: work.path(),
                };
                let script = tool.script(task, &places)?;
                let cost = measure.run(&script, work.path()).await;
                let cost = cost.with_context(|| format!("{tool} failed: {task}"))?;
                let whole = match task {
                    Task::Pull if *tool == Tool::Ours => {
                        check::bundle(&images, &layout.join(ours::BUNDLE))
                    }
                    Task::Pull => check::layout(&images, &layout),
                    Task::Push | Task::Copy => check::registry(&images, &target).await,
                };
                whole.with_context(|| format!("{tool} moved something else: {task}"))?;
                eprintln!("{task}, round {round}: {tool} {:.2} s", cost.wall_seconds);
                runs.push(Run {
                    task,
                    tool: tool.name(),
                    cost,
                });
                if layout.exists() {
                    fs::remove_dir_all(&layout).context("cannot empty the layout")?;
                }
            }
        }
    }
    let report = Report::new(system, &images, arguments.rounds, runs);
    print!("{}", report.table());
    if let Some(path) = &arguments.json {
        let json = serde_json::to_string_pretty(&report)? + "\n";
        fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
