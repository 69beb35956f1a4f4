//! containerd's mirrors on the nodes: every registry that the manifests name is asked for at the lab's registry first.

use std::collections::BTreeSet;

use super::ContainerEngine;
use crate::ClusterError;

/// Where containerd looks for the hosts of a registry.
const CERTS: &str = "/etc/containerd/certs.d";

/// Writes `hosts.toml` for each registry on a node; containerd reads it at the next pull. `lab` is the lab's registry as the
/// node names it. Upstream is asked when the lab's registry does not have an image.
///
/// # Errors
/// When the node cannot be written to.
pub async fn mirror(
    engine: &ContainerEngine,
    node: &str,
    registries: &BTreeSet<String>,
    lab: &str,
) -> Result<(), ClusterError> {
    for registry in registries.iter().map(String::as_str).chain([lab]) {
        let directory = format!("{CERTS}/{registry}");
        let script = format!("mkdir -p '{directory}' && cat > '{directory}/hosts.toml'");
        engine
            .exec(node, &["sh", "-c", &script], &hosts(lab))
            .await?;
    }
    Ok(())
}

/// `hosts.toml` (containerd, docs/hosts.md): without `server`, the registry itself is asked last.
fn hosts(lab: &str) -> String {
    format!("[host.\"http://{lab}\"]\n  capabilities = [\"pull\", \"resolve\"]\n")
}
