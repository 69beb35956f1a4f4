//! What the manifests pin that this machine can be held against: the cluster's version, its ports, the registries.

use std::{collections::BTreeSet, fs, path::Path};

use serde::Deserialize;

use super::ask::major_minor;

/// Read leniently: a file that cannot be read pins nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pinned {
    /// The cluster's version, by the node's image.
    pub(super) kubernetes: Option<(u32, u32)>,
    /// The ports of this machine that the cluster prefers.
    pub(super) host_ports: Vec<u16>,
    /// The registries that images come from, as image references name them.
    pub(super) registries: BTreeSet<String>,
}

/// `manifests/overlays/kind/cluster.yaml`, as far as it is read.
#[derive(Debug, Deserialize)]
struct Cluster {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    image: String,
    #[serde(default)]
    extra_port_mappings: Vec<Mapping>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mapping {
    host_port: u16,
}

impl Pinned {
    pub(super) fn read(manifests: &Path) -> Self {
        let mut pinned = fs::read_to_string(manifests.join("overlays/kind/cluster.yaml"))
            .map(|text| of_cluster(&text))
            .unwrap_or_default();
        collect(manifests, &mut pinned.registries);
        pinned
    }

    #[cfg(test)]
    pub(super) fn of_this_repository() -> Self {
        Self::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests"))
    }
}

fn of_cluster(text: &str) -> Pinned {
    let Ok(cluster) = serde_yaml::from_str::<Cluster>(text) else {
        return Pinned::default();
    };
    let tag = cluster.nodes.first().and_then(|node| {
        let (name, _digest) = node.image.split_once('@').unwrap_or((&node.image, ""));
        name.rsplit(':').next()
    });
    Pinned {
        kubernetes: tag.and_then(major_minor),
        host_ports: cluster
            .nodes
            .iter()
            .flat_map(|node| &node.extra_port_mappings)
            .map(|mapping| mapping.host_port)
            .collect(),
        registries: BTreeSet::new(),
    }
}

fn collect(directory: &Path, registries: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        // Upstream's installation names images that the lab takes out or replaces.
        if path.ends_with("argocd/install.yaml") {
            continue;
        }
        if path.is_dir() {
            collect(&path, registries);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let text = fs::read_to_string(&path).unwrap_or_default();
            registries.extend(text.lines().filter_map(registry));
        }
    }
}

/// The registry of an image that a line names: `image:` of a container, `name:` in a list of `images:`.
fn registry(line: &str) -> Option<String> {
    let line = line.trim();
    let line = line.strip_prefix("- ").unwrap_or(line);
    let image = line
        .strip_prefix("image: ")
        .or_else(|| line.strip_prefix("name: "))?;
    let (registry, _) = image.split_once('/')?;
    let is_host = registry
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-.:".contains(c))
        && registry.contains('.');
    // A label's name has a domain before its slash, too.
    (is_host && (line.starts_with("image: ") || image.matches('/').count() > 1))
        .then(|| registry.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repositorys_pins_are_found() {
        let pinned = Pinned::of_this_repository();
        assert_eq!(pinned.kubernetes, Some((1, 35)));
        assert!(pinned.host_ports.contains(&3000), "{pinned:?}");
        let registries: Vec<&str> = pinned.registries.iter().map(String::as_str).collect();
        assert_eq!(
            registries,
            ["docker.io", "public.ecr.aws", "quay.io", "registry.k8s.io"]
        );
    }

    #[test]
    fn what_is_no_image_of_a_registry_names_none() {
        for line in [
            "image: lab/consumer",
            "name: kubernetes.io/os",
            "- name: prometheus",
            "# image: docker.io/a/b",
        ] {
            assert_eq!(registry(line), None, "{line}");
        }
        assert_eq!(of_cluster("nodes: 3"), Pinned::default());
    }
}
