//! What the kernel says of processes: CPU time and peak memory, from `/proc`.

use std::{fs, time::Duration};

use crate::BenchError;

/// Linux tells times to programs in hundredths of a second, whatever its own tick is.
const TICK: Duration = Duration::from_millis(10);

/// What of `/proc/PID/stat` is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    group: i32,
    cpu: Duration,
}

/// CPU time that the processes have used, with the kernel on their behalf; that of children they have waited for is not in
/// it.
///
/// # Errors
///
/// A process is gone.
pub fn cpu(pids: &[i32]) -> Result<Duration, BenchError> {
    pids.iter().map(|&pid| Ok(stat(pid)?.cpu)).sum()
}

/// The most memory that the processes ever had resident, each at its own time.
///
/// # Errors
///
/// A process is gone.
pub fn peak_memory_bytes(pids: &[i32]) -> Result<u64, BenchError> {
    pids.iter()
        .map(|&pid| {
            let path = format!("/proc/{pid}/status");
            let text = read(&path)?;
            peak_bytes(&text).ok_or(BenchError::Kernel { path })
        })
        .sum()
}

/// The processes of a group.
///
/// # Errors
///
/// `/proc` cannot be read.
pub fn members(group: i32) -> Result<Vec<i32>, BenchError> {
    let directory = fs::read_dir("/proc").map_err(BenchError::file("read", "/proc"))?;
    Ok(directory
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        // A process that is gone meanwhile is no member.
        .filter(|&pid| stat(pid).is_ok_and(|stat| stat.group == group))
        .collect())
}

fn stat(pid: i32) -> Result<Stat, BenchError> {
    let path = format!("/proc/{pid}/stat");
    let text = read(&path)?;
    parse_stat(&text).ok_or(BenchError::Kernel { path })
}

fn read(path: &str) -> Result<String, BenchError> {
    // A program's name may be any bytes.
    let bytes = fs::read(path).map_err(BenchError::file("read", path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `pid (name) state ppid pgrp … utime stime …`; the name may hold spaces and parentheses (proc_pid_stat(5)).
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, after_name) = text.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u32>().ok();
    Some(Stat {
        group: fields.get(2)?.parse().ok()?,
        cpu: TICK.saturating_mul(ticks(11)?.saturating_add(ticks(12)?)),
    })
}

/// The line `VmHWM:   1234 kB` of `status`.
fn peak_bytes(text: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_cannot_shift_the_fields() {
        let text = "42 (a) b (c) S 1 77 77 0 -1 4194560 9 8 7 6 150 50 0 0 20 0 4 0 100 0 0";
        let expected = Stat {
            group: 77,
            cpu: Duration::from_secs(2),
        };
        assert_eq!(parse_stat(text), Some(expected));
    }

    #[test]
    fn the_peak_is_in_bytes() {
        let text = "Name:\tx\nVmPeak:\t  999 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(peak_bytes(text), Some(1234 * 1024));
        assert_eq!(peak_bytes("Name:\tkthread\n"), None);
    }

    #[test]
    fn this_process_is_a_member_of_its_group_and_has_memory() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let group = stat(pid).unwrap().group;
        assert!(members(group).unwrap().contains(&pid));
        assert!(peak_memory_bytes(&[pid]).unwrap() > 100_000);
        cpu(&[pid]).unwrap();
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(?s)\\PC*", numbers in "[0-9]{1,4} \\([a-z) ]{0,5}\\) [A-Z]( -?[0-9]{0,22}){0,16}") {
            let _ = (parse_stat(&text), parse_stat(&numbers), peak_bytes(&text));
            let _ = peak_bytes(&format!("VmHWM: {text} kB"));
        }
    }
}
