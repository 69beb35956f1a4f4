//! kind's configuration of the lab's cluster: the file of the manifests, with ports of this machine that are free.

use std::{collections::BTreeMap, fs, path::Path};

use lab::LabError;
use serde::Deserialize;
use serde_yaml::{Mapping, Value};

use crate::ClusterError;

/// A service that is reached at a port of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePort {
    /// `component/port`, under which `lab.json` remembers the port of this machine.
    pub owner: String,
    /// The node's port.
    pub number: u16,
}

/// A Service as far as its node ports go.
#[derive(Debug, Deserialize)]
struct Service {
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Spec {
    ports: Vec<Port>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    name: String,
    node_port: u16,
}

/// The services at ports of the node, from `manifests/overlays/kind`.
///
/// # Errors
/// When a file cannot be read, or is no Service of type NodePort.
pub fn node_ports(manifests: &Path) -> Result<Vec<NodePort>, ClusterError> {
    let overlay = manifests.join("overlays/kind");
    let mut ports = Vec::new();
    for directory in [overlay.join("argocd"), overlay.join("node-ports")] {
        let entries = fs::read_dir(&directory).map_err(LabError::file("read", &directory))?;
        for entry in entries {
            let path = entry.map_err(LabError::file("read", &directory))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !name.starts_with("service-") {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
            let malformed =
                |reason: String| ClusterError::malformed(path.display().to_string(), reason);
            let service: Service =
                serde_yaml::from_str(&text).map_err(|error| malformed(error.to_string()))?;
            let component = service
                .metadata
                .labels
                .get("app.kubernetes.io/name")
                .ok_or_else(|| malformed("it has no label app.kubernetes.io/name".to_owned()))?;
            ports.extend(service.spec.ports.iter().map(|port| NodePort {
                owner: format!("{component}/{}", port.name),
                number: port.node_port,
            }));
        }
    }
    ports.sort_by(|one, other| one.owner.cmp(&other.owner));
    Ok(ports)
}

/// `manifests/overlays/kind/cluster.yaml`.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    value: Mapping,
    what: String,
}

impl ClusterConfig {
    /// Reads the file of the manifests.
    ///
    /// # Errors
    /// When it cannot be read or is no mapping.
    pub fn read(manifests: &Path) -> Result<Self, ClusterError> {
        let path = manifests.join("overlays/kind/cluster.yaml");
        let text = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
        let what = path.display().to_string();
        let value =
            serde_yaml::from_str(&text).map_err(|error| ClusterError::malformed(&what, error))?;
        Ok(Self { value, what })
    }

    /// The node's image.
    ///
    /// # Errors
    /// When the file names none.
    pub fn image(&self) -> Result<&str, ClusterError> {
        self.value
            .get("nodes")
            .and_then(|nodes| nodes.get(0)?.get("image")?.as_str())
            .ok_or_else(|| ClusterError::malformed(&self.what, "its first node has no image"))
    }

    /// Gives each of the node's ports a port of this machine: `choose` gets the node port's owner and the port that the
    /// file prefers.
    ///
    /// # Errors
    /// When a mapping leads to no service, or `choose` finds no port.
    pub fn assign(
        &mut self,
        services: &[NodePort],
        mut choose: impl FnMut(&str, u16) -> Result<u16, LabError>,
    ) -> Result<(), ClusterError> {
        let what = self.what.clone();
        let malformed = |reason: String| ClusterError::malformed(&what, reason);
        let mappings = self
            .value
            .get_mut("nodes")
            .and_then(|nodes| {
                nodes
                    .get_mut(0)?
                    .get_mut("extraPortMappings")?
                    .as_sequence_mut()
            })
            .ok_or_else(|| malformed("its first node has no extraPortMappings".to_owned()))?;
        for mapping in mappings {
            let number = |key: &str| {
                mapping
                    .get(key)
                    .and_then(Value::as_u64)
                    .and_then(|number| u16::try_from(number).ok())
            };
            let (Some(node), Some(preferred)) = (number("containerPort"), number("hostPort"))
            else {
                return Err(malformed(
                    "a mapping lacks containerPort or hostPort".to_owned(),
                ));
            };
            let service = services
                .iter()
                .find(|service| service.number == node)
                .ok_or_else(|| malformed(format!("no service is at the node's port {node}")))?;
            let port = choose(&service.owner, preferred)?;
            mapping["hostPort"] = port.into();
        }
        Ok(())
    }

    /// Mounts a directory of this machine where the file mounts one into the node.
    ///
    /// # Errors
    /// When the file mounts none.
    pub fn mount(&mut self, directory: &Path) -> Result<(), ClusterError> {
        let mount = self
            .value
            .get_mut("nodes")
            .and_then(|nodes| nodes.get_mut(0)?.get_mut("extraMounts")?.get_mut(0))
            .ok_or_else(|| {
                ClusterError::malformed(&self.what, "its first node has no extraMounts")
            })?;
        mount["hostPath"] = directory.display().to_string().into();
        Ok(())
    }

    /// The file as kind reads it.
    ///
    /// # Errors
    /// When it cannot be written as YAML.
    pub fn text(&self) -> Result<String, ClusterError> {
        serde_yaml::to_string(&self.value)
            .map_err(|error| ClusterError::malformed(&self.what, error))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::kind::journals;

    fn manifests() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests")
    }

    #[test]
    fn every_port_of_the_node_leads_to_a_service_and_every_service_has_one() {
        let services = node_ports(&manifests()).unwrap();
        let mut config = ClusterConfig::read(&manifests()).unwrap();
        let mut owners = Vec::new();
        config
            .assign(&services, |owner, preferred| {
                owners.push(owner.to_owned());
                Ok(preferred + 10_000)
            })
            .unwrap();
        owners.sort_unstable();
        let wanted: Vec<_> = services
            .iter()
            .map(|service| service.owner.clone())
            .collect();
        assert_eq!(owners, wanted);
        assert!(
            config.text().unwrap().contains("hostPort: 13000"),
            "{}",
            config.text().unwrap()
        );
    }

    #[test]
    fn the_preferred_ports_are_the_components_own() {
        let services = node_ports(&manifests()).unwrap();
        let mut config = ClusterConfig::read(&manifests()).unwrap();
        config
            .assign(&services, |owner, preferred| {
                let (component, name) = owner.split_once('/').unwrap();
                let component: blueprint::Component = component.parse().unwrap();
                let port = component.ports().iter().find(|port| port.name == name);
                assert_eq!(port.map(|port| port.number), Some(preferred), "{owner}");
                Ok(preferred)
            })
            .unwrap();
    }

    #[test]
    fn the_directory_of_the_lab_is_mounted_where_the_journals_volume_is() {
        let mut config = ClusterConfig::read(&manifests()).unwrap();
        config.mount(Path::new("/state/default/journals")).unwrap();
        let text = config.text().unwrap();
        assert!(text.contains("hostPath: /state/default/journals"), "{text}");
        let volume = manifests().join("overlays/kind/journals/persistentvolume.yaml");
        let volume: Value = serde_yaml::from_str(&fs::read_to_string(volume).unwrap()).unwrap();
        let on_node = volume["spec"]["hostPath"]["path"].as_str().unwrap();
        assert_eq!(on_node, journals::ON_NODE);
        assert!(
            text.contains(&format!("containerPath: {on_node}")),
            "{text}"
        );
    }

    #[test]
    fn the_node_is_pinned_by_digest() {
        let config = ClusterConfig::read(&manifests()).unwrap();
        assert!(config.image().unwrap().contains("@sha256:"));
    }
}
