//! What the runs came to: a table for people, one JSON object for programs.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use serde::Serialize;

use crate::{
    images::Images,
    measure::Cost,
    tools::{Task, Tool},
};

/// A run that has moved what it should.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) task: Task,
    pub(crate) tool: &'static str,
    #[serde(flatten)]
    pub(crate) cost: Cost,
}

/// Where it was measured, and what.
#[derive(Debug, Serialize)]
pub(crate) struct System {
    processor: String,
    processors: usize,
    memory: String,
    kernel: String,
    /// Of the last minute, before the first run: other work on the machine.
    load: String,
    versions: Vec<String>,
}

impl System {
    pub(crate) fn of(registry: &Path, tools: &[Tool]) -> Self {
        let line = |file: &str, key: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let value = text.lines().find_map(|line| line.strip_prefix(key));
            let value = value
                .unwrap_or_default()
                .trim_start_matches([':', '\t', ' ']);
            value.trim().to_owned()
        };
        let mut versions = vec![
            format!("lab {}", env!("CARGO_PKG_VERSION")),
            version(registry, "--version"),
        ];
        if tools.contains(&Tool::Skopeo) {
            versions.push(version(Path::new("skopeo"), "--version"));
        }
        if tools.contains(&Tool::Crane) {
            versions.push(format!("crane {}", version(Path::new("crane"), "version")));
        }
        let load = line("/proc/loadavg", "");
        Self {
            processor: line("/proc/cpuinfo", "model name"),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory: line("/proc/meminfo", "MemTotal"),
            kernel: line("/proc/sys/kernel/osrelease", ""),
            load: load.split(' ').next().unwrap_or_default().to_owned(),
            versions,
        }
    }
}

/// The first line that a program says of itself.
fn version(program: &Path, argument: &str) -> String {
    let output = Command::new(program).arg(argument).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let said = said.unwrap_or_default();
    said.lines().next().unwrap_or("unknown").to_owned()
}

/// The whole report. Fields are added, none removed or renamed.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    schema: u32,
    system: System,
    images: usize,
    blobs: usize,
    bytes: u64,
    rounds: u32,
    runs: Vec<Run>,
}

impl Report {
    pub(crate) fn new(system: System, images: &Images, rounds: u32, runs: Vec<Run>) -> Self {
        Self {
            schema: 1,
            system,
            images: images.names.len(),
            blobs: images.blobs.len(),
            bytes: images.bytes,
            rounds,
            runs,
        }
    }

    /// A line a task and tool.
    pub(crate) fn table(&self) -> String {
        let mut text = String::new();
        let system = &self.system;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{} x {}, {}, Linux {}, load {}\n{}\n{} images, {} blobs, {} MiB, {} rounds\n",
            system.processors,
            system.processor,
            system.memory,
            system.kernel,
            system.load,
            system.versions.join("; "),
            self.images,
            self.blobs,
            self.bytes >> 20,
            self.rounds,
        );
        let _ = writeln!(
            text,
            "{:<21} {:<12} {:>8} {:>8} {:>8} {:>8} {:>9}",
            "TASK", "TOOL", "WALL s", "MIN", "MAX", "CPU s", "PEAK MiB"
        );
        let mut lines: Vec<(Task, &str)> = Vec::new();
        for run in &self.runs {
            if !lines.contains(&(run.task, run.tool)) {
                lines.push((run.task, run.tool));
            }
        }
        for (task, tool) in lines {
            let runs = self.runs.iter();
            let runs = runs.filter(|run| (run.task, run.tool) == (task, tool));
            let costs: Vec<Cost> = runs.map(|run| run.cost).collect();
            let wall = sorted(costs.iter().map(|cost| cost.wall_seconds));
            let cpu = sorted(costs.iter().map(|cost| cost.cpu_seconds));
            let peak = costs.iter().map(|cost| cost.peak_kib).max();
            let _ = writeln!(
                text,
                "{task:<21} {tool:<12} {:>8.2} {:>8.2} {:>8.2} {:>8.2} {:>9}",
                median(&wall),
                wall[0],
                wall[wall.len() - 1],
                median(&cpu),
                peak.unwrap_or_default() >> 10,
            );
        }
        text
    }
}

fn sorted(figures: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures
}

/// The middle one, or the mean of the middle two.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}
