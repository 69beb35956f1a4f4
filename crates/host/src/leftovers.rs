//! Processes that carry a lab's mark, wherever they have gone: the proof that `down` left nothing.
//!
//! Every process of a lab inherits `LAB_INSTANCE=<uuid>` in its environment. A daemon that leaves its process group,
//! or a child whose supervisor was killed, still carries it, so `/proc/*/environ` finds them all.

use std::{fmt, fs, time::Duration};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::HostError;

/// The variable that marks a lab's processes.
pub const MARK: &str = "LAB_INSTANCE";

/// How long leftovers may take to end after SIGTERM; the broker needs a few seconds to close its queues.
const TERM_GRACE: Duration = Duration::from_secs(15);

/// How long the kernel may take to remove killed processes.
const KILL_GRACE: Duration = Duration::from_secs(10);

/// How often the process table is looked at while waiting.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// A process that carries a lab's mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Its process id.
    pub pid: i32,
    /// Its command's name.
    pub command: String,
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.pid, self.command)
    }
}

/// The living processes of a lab, this process excepted. Processes of other users cannot be read and are not ours.
pub fn find_leftovers(instance: Uuid) -> Vec<Leftover> {
    let mark = format!("{MARK}={instance}");
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|&pid| pid.unsigned_abs() != std::process::id())
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
                environment
                    .split(|&byte| byte == 0)
                    .any(|variable| variable == mark.as_bytes())
            })
        })
        .map(|pid| Leftover {
            pid,
            command: fs::read_to_string(format!("/proc/{pid}/comm"))
                .unwrap_or_default()
                .trim_end()
                .to_owned(),
        })
        .collect()
}

/// Ends every process of a lab: SIGTERM, then SIGKILL for what has not gone. Returns those it found.
///
/// # Errors
/// [`HostError::Survivors`] when some are alive after both.
pub async fn end_leftovers(instance: Uuid) -> Result<Vec<Leftover>, HostError> {
    let found = find_leftovers(instance);
    for (signal, grace) in [(Signal::TERM, TERM_GRACE), (Signal::KILL, KILL_GRACE)] {
        let alive = find_leftovers(instance);
        if alive.is_empty() {
            return Ok(found);
        }
        for leftover in &alive {
            signal_process(leftover.pid, signal);
            // A stopped process acts on SIGTERM only once it is continued.
            signal_process(leftover.pid, Signal::CONT);
        }
        let deadline = Instant::now() + grace;
        while !find_leftovers(instance).is_empty() && Instant::now() < deadline {
            sleep(LOOK_INTERVAL).await;
        }
    }
    let survivors = find_leftovers(instance);
    if survivors.is_empty() {
        return Ok(found);
    }
    Err(HostError::Survivors {
        waited: TERM_GRACE + KILL_GRACE,
        survivors: survivors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    })
}

fn signal_process(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid)
        && test_kill_process(pid).is_ok()
    {
        // It may have ended since it was found, which is what the signal is for.
        let _ = kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_marked_process_is_found_in_another_session_and_ended() {
        let instance = Uuid::now_v7();
        let mut child = Command::new("setsid")
            .args(["sleep", "600"])
            .env(MARK, instance.to_string())
            .spawn()
            .unwrap();
        // The mark is visible once the child has become the program.
        let found = loop {
            let found = find_leftovers(instance);
            if found.iter().any(|leftover| leftover.command == "sleep") {
                break found;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(found.len(), 1);
        let reaper = std::thread::spawn(move || child.wait().unwrap());
        assert_eq!(end_leftovers(instance).await.unwrap().len(), 1);
        assert!(find_leftovers(instance).is_empty());
        reaper.join().unwrap();
    }

    #[tokio::test]
    async fn an_unmarked_lab_has_no_leftovers() {
        assert_eq!(end_leftovers(Uuid::now_v7()).await.unwrap(), []);
    }
}
