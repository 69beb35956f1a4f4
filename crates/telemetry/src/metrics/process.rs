//! Metrics of the process itself, under the names that all Prometheus clients use.
//!
//! CPU time and start time exist everywhere. Resident memory and open file descriptors are read from Linux's `/proc`;
//! elsewhere (macOS) they are left out rather than guessed.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::metrics::Meter;
use rustix::time::{ClockId, clock_gettime};

/// Registers instruments that are read at each scrape.
pub fn register(meter: &Meter) {
    meter
        .f64_observable_counter("process.cpu")
        .with_unit("s")
        .with_description("User and system CPU time spent")
        .with_callback(|observer| observer.observe(cpu_time().as_secs_f64(), &[]))
        .build();

    // `init` runs first in `main`: some milliseconds after the kernel's own figure, which has a resolution of 10.
    let started = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64();
    meter
        .f64_observable_gauge("process.start_time")
        .with_unit("s")
        .with_description("Start time of the process since the Unix epoch")
        .with_callback(move |observer| observer.observe(started, &[]))
        .build();

    meter
        .u64_observable_gauge("process.resident_memory")
        .with_unit("By")
        .with_description("Resident memory size")
        .with_callback(|observer| {
            let status = fs::read_to_string("/proc/self/status");
            if let Some(bytes) = status.ok().as_deref().and_then(resident_bytes) {
                observer.observe(bytes, &[]);
            }
        })
        .build();

    meter
        .u64_observable_gauge("process.open_fds")
        .with_description("Open file descriptors")
        .with_callback(|observer| {
            if let Some(open) = open_files() {
                observer.observe(open, &[]);
            }
        })
        .build();
}

fn cpu_time() -> Duration {
    // A clock of the process never goes below zero.
    clock_gettime(ClockId::ProcessCPUTime)
        .try_into()
        .unwrap_or_default()
}

/// The value of `VmRSS`, which the kernel gives in kibibytes (proc_pid_status(5)).
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kibibytes * 1024)
}

fn open_files() -> Option<u64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    // One of them is the directory being read.
    Some(open.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_kernels_status() {
        let status = "Name:\tproducer\nVmHWM:\t   20000 kB\nVmRSS:\t   18432 kB\nThreads:\t7\n";

        assert_eq!(resident_bytes(status), Some(18432 * 1024));
        assert_eq!(resident_bytes("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn cpu_time_grows_with_work() {
        let before = cpu_time();
        while cpu_time() == before {
            std::hint::black_box(before);
        }

        assert!(cpu_time() > before);
    }
}
