//! The machine that was measured on, for whoever reads the figures elsewhere.

use std::{fs, thread};

use rustix::system::uname;
use serde::Serialize;

/// A machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub processors: usize,
    /// The processor's name.
    pub processor: String,
    /// The kernel's version.
    pub kernel: String,
    /// Processes that wanted to run in the last minute when the measurement began: other work is noise.
    pub load_at_start: Option<f64>,
}

impl Machine {
    /// This machine at this moment.
    pub fn this() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let processor = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown", |(_, name)| name);
        Self {
            processors: thread::available_parallelism().map_or(1, usize::from),
            processor: processor.to_owned(),
            kernel: uname().release().to_string_lossy().into_owned(),
            load_at_start: read("/proc/loadavg")
                .split_whitespace()
                .next()
                .and_then(|load| load.parse().ok()),
        }
    }
}
