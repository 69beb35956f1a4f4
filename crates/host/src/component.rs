//! How each component runs on this machine: one module a component, from its files under `manifests/` to its units.

mod alertmanager;
mod blackbox;
mod grafana;
mod loki;
mod minio;
mod node_exporter;
mod prometheus;
mod promtail;
mod pyroscope;
mod rabbitmq;
mod workload;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use blueprint::Component;
use lab::write_if_changed;
use uuid::Uuid;
use verify::Fault;

use crate::{
    HostError, PlanInput, PortMap, Readiness, Unit, fingerprint::Fingerprint, names::localise,
};

/// A port at which nobody listens (`tcpmux`), for links that are cut on purpose.
const NOBODY: u16 = 1;

/// Where a component is rendered: the lab, its ports, the other components, and the faults of the moment.
pub(crate) struct Site<'a> {
    pub(crate) input: &'a PlanInput,
    pub(crate) instance: Uuid,
    pub(crate) ports: &'a PortMap,
    pub(crate) components: &'a [Component],
    pub(crate) faults: &'a [Fault],
}

/// A component's units, and whether its configuration changed under a process that can read it again.
#[derive(Default)]
pub(crate) struct Rendered {
    pub(crate) units: Vec<Unit>,
    pub(crate) reload: bool,
}

impl From<Unit> for Rendered {
    fn from(unit: Unit) -> Self {
        Self {
            units: vec![unit],
            reload: false,
        }
    }
}

/// Writes a component's configuration and describes its processes.
pub(crate) fn render(site: &Site, component: Component) -> Result<Rendered, HostError> {
    match component {
        Component::Minio => minio::render(site),
        Component::Prometheus => prometheus::render(site),
        Component::Alertmanager => alertmanager::render(site),
        Component::NodeExporter => Ok(node_exporter::render(site)),
        Component::Blackbox => blackbox::render(site),
        Component::Grafana => grafana::render(site),
        Component::Loki => loki::render(site),
        Component::Promtail => promtail::render(site),
        Component::Pyroscope => pyroscope::render(site),
        Component::Rabbitmq => rabbitmq::render(site),
        Component::Producer | Component::Consumer => workload::render(site, component),
        Component::Argocd | Component::MetricsServer | Component::KubeStateMetrics => {
            Ok(Rendered::default())
        }
    }
}

impl Site<'_> {
    /// The ports as `component` sees them: links that are cut lead to nobody.
    pub(crate) fn ports_seen_by(&self, component: Component) -> PortMap {
        let mut ports = self.ports.clone();
        for fault in self.faults {
            if let Fault::LinkCut { from, to } = *fault
                && from == component
            {
                ports.cut(to, NOBODY);
            }
        }
        ports
    }

    /// Whether a component is part of this lab.
    pub(crate) fn has(&self, component: Component) -> bool {
        self.components.contains(&component)
    }

    /// The component's own port.
    pub(crate) fn port(&self, component: Component, name: &str) -> u16 {
        self.ports.of(component, name)
    }

    /// Reads a file of a component under `manifests/`.
    pub(crate) fn manifest(&self, component: Component, name: &str) -> Result<String, HostError> {
        let path = self.manifest_path(component, name);
        fs::read_to_string(&path).map_err(HostError::file("read", path))
    }

    /// Where a file of a component lies under `manifests/`.
    pub(crate) fn manifest_path(&self, component: Component, name: &str) -> PathBuf {
        self.input.manifests.join(component.name()).join(name)
    }

    /// Reads a configuration file of a component and maps service names to this machine, as the component sees them.
    pub(crate) fn local_manifest(
        &self,
        component: Component,
        name: &str,
    ) -> Result<String, HostError> {
        let text = self.manifest(component, name)?;
        Ok(localise(&text, &self.ports_seen_by(component)))
    }

    /// Writes a file of a component's rendered configuration; says where, and whether it changed.
    pub(crate) fn write(
        &self,
        component: Component,
        name: &str,
        text: &str,
    ) -> Result<Written, HostError> {
        let path = self.input.lab.config(component).join(name);
        let changed = write_if_changed(&path, text.as_bytes())?;
        Ok(Written { path, changed })
    }

    /// A component's data directory, made if need be.
    pub(crate) fn data(&self, component: Component) -> Result<PathBuf, HostError> {
        let path = self.input.lab.data(component);
        fs::create_dir_all(&path).map_err(HostError::file("create", &path))?;
        Ok(path)
    }

    /// The program and version of a component. Planning has refused labs that lack a required one, and optional
    /// components without a program are not rendered.
    pub(crate) fn program(&self, component: Component) -> (PathBuf, String) {
        match component {
            Component::Producer => (self.input.producer.clone(), workspace_version()),
            Component::Consumer => (self.input.consumer.clone(), workspace_version()),
            _ => self
                .input
                .programs
                .get(component)
                .map(|program| (program.path.clone(), program.version.clone()))
                .unwrap_or_default(),
        }
    }

    /// A unit that runs the component's program, to be completed by its module.
    pub(crate) fn unit(&self, component: Component) -> Unit {
        let (program, version) = self.program(component);
        Unit {
            name: component.name().to_owned(),
            component,
            version,
            fingerprint: Fingerprint::default().program(&program).finish(),
            program,
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            after: Vec::new(),
            readiness: Readiness::Http(String::new()),
            stop_grace: Duration::from_secs(10),
            log_directory: self.input.lab.container_logs(
                component,
                component.name(),
                self.instance,
            ),
        }
    }
}

/// A file of rendered configuration.
pub(crate) struct Written {
    pub(crate) path: PathBuf,
    pub(crate) changed: bool,
}

/// A local URL.
pub(crate) fn url(port: u16, path: &str) -> String {
    format!("http://127.0.0.1:{port}{path}")
}

/// A flag of the form `--name=path`.
pub(crate) fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

fn workspace_version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
