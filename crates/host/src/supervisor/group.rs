//! Process groups: ending one means that no process of it is left, not that its leader has gone.

use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpgid,
};
use tokio::time::{Instant, sleep};

/// How often a group is looked at while it ends.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How long the kernel may take to remove a killed group.
const KILL_GRACE: Duration = Duration::from_secs(5);

/// Sends a signal to every process of a group; a group that is gone has nothing to receive it.
pub(super) fn signal(group: Pid, signal: Signal) {
    let _ = kill_process_group(group, signal);
}

/// Ends a group: SIGTERM, and SIGKILL for what is left after `grace`. Returns once no process of it is left.
pub(super) async fn end(group: Pid, grace: Duration) {
    for (number, grace) in [(Signal::TERM, grace), (Signal::KILL, KILL_GRACE)] {
        signal(group, number);
        // A stopped process acts on SIGTERM only once it is continued.
        signal(group, Signal::CONT);
        let deadline = Instant::now() + grace;
        while is_alive(group) {
            if Instant::now() >= deadline {
                break;
            }
            sleep(LOOK_INTERVAL).await;
        }
    }
}

/// Whether a group has a process that is more than a zombie of ours.
fn is_alive(group: Pid) -> bool {
    // Orphans of the group are this process's children, because it is their subreaper.
    while let Ok(Some(_)) = waitpgid(group, WaitOptions::NOHANG) {}
    test_kill_process_group(group).is_ok()
}
