//! The directory of the journals: a lab's own on this machine, which its node has at a path that the manifests name.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use lab::LabError;

use super::ContainerEngine;
use crate::ClusterError;

/// Where nodes have it: the volume's path in `manifests/overlays/kind/journals`.
pub const ON_NODE: &str = "/var/lab/journals";

/// Pods write here as users that this machine does not know.
const MODE: u32 = 0o777;

/// Makes the directory on this machine, to be mounted into the node.
///
/// # Errors
/// When it cannot be made.
pub fn make(directory: &Path) -> Result<PathBuf, ClusterError> {
    fs::create_dir_all(directory).map_err(LabError::file("create", directory))?;
    fs::set_permissions(directory, Permissions::from_mode(MODE))
        .map_err(LabError::file("change the mode of", directory))?;
    // kind would take another one for relative to where it is started.
    let path = std::path::absolute(directory).map_err(LabError::file("find", directory))?;
    Ok(path)
}

/// Sees to it that a node has such a directory. A node that was made before labs kept journals has none mounted, and no
/// mount can be added to it: its services shall work all the same.
///
/// # Errors
/// When the node cannot be written to.
pub async fn ensure_on_node(engine: &ContainerEngine, node: &str) -> Result<(), ClusterError> {
    let script = format!("mkdir -p -m {MODE:o} '{ON_NODE}'");
    engine.exec(node, &["sh", "-c", &script], "").await?;
    Ok(())
}
