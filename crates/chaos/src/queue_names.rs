//! Whether a kill leaves a RabbitMQ node its quorum queues.
//!
//! Their names reach the disk up to a second after a start. A node that is killed before has their logs and lets nobody
//! lead them (seen with RabbitMQ 3.10.8). That is the broker's own limit, so no fault is timed into that second.

use std::{fs, path::Path};

use messaging::topology::{DEAD_LETTER_QUEUE, QUEUE, VHOST};

/// Looks whether the names of the lab's queues are on the disk of the node `node`, which keeps its data in `mnesia`.
///
/// # Errors
/// What is missing, in words.
pub fn are_saved(mnesia: &Path, node: &str) -> Result<(), String> {
    let path = mnesia.join(format!("{node}/quorum/{node}/names.dets"));
    let content = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    // Erlang's dets keeps a word there that is 1 while nothing waits to be written.
    let saved = content.get(8..12) == Some(&1_u32.to_be_bytes());
    let text = String::from_utf8_lossy(&content);
    // The tag `m` of the next term ends a name: one queue's is the beginning of the other's.
    let named = [QUEUE, DEAD_LETTER_QUEUE].map(|queue| text.contains(&format!("{VHOST}_{queue}m")));
    match (saved, named) {
        (true, [true, true]) => Ok(()),
        _ => Err(format!("saved: {saved}, names in it: {named:?}")),
    }
}
