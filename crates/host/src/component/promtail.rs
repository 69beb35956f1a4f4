//! Promtail: the manifests' pipeline over the lab's CRI logs, one static path a component in place of discovery.

use blueprint::Component;
use lab::LabError;
use serde_yaml::{Mapping, Value};
use verify::Fault;

use super::{Rendered, Site, flag, url};
use crate::{
    HostError, Readiness, Unit,
    discovery::{pod_labels, remove_kubernetes},
    fingerprint::Fingerprint,
    names::localise,
    ports::GRPC,
};

const SELF: Component = Component::Promtail;

pub(super) fn render(site: &Site) -> Result<Rendered, HostError> {
    let path = site.manifest_path(SELF, "promtail.yaml");
    let malformed = |reason: String| {
        HostError::from(LabError::Malformed {
            path: path.clone(),
            reason,
        })
    };
    let mut config: Mapping = serde_yaml::from_str(&site.manifest(SELF, "promtail.yaml")?)
        .map_err(|error| malformed(error.to_string()))?;
    let Some(Value::Sequence(jobs)) = config.get_mut("scrape_configs") else {
        return Err(malformed("it has no list `scrape_configs`".to_owned()));
    };
    for job in jobs {
        let Value::Mapping(job) = job else {
            return Err(malformed("a scrape config is not a mapping".to_owned()));
        };
        if remove_kubernetes(job) {
            job.insert("static_configs".into(), Value::Sequence(paths(site)));
        }
    }
    let text = serde_yaml::to_string(&config).map_err(|error| malformed(error.to_string()))?;
    let text = localise(&text, &site.ports_seen_by(SELF));
    let written = site.write(SELF, "promtail.yaml", &text)?;
    let port = site.port(SELF, "http");
    let unit = site.unit(SELF);
    let fingerprint = Fingerprint::default()
        .program(&unit.program)
        .bytes(text)
        .finish();
    Ok(Unit {
        arguments: vec![
            flag("config.file", &written.path),
            flag("positions.file", &site.data(SELF)?.join("positions.yaml")),
            "-server.http-listen-address=127.0.0.1".to_owned(),
            "-server.grpc-listen-address=127.0.0.1".to_owned(),
            format!("-server.http-listen-port={port}"),
            format!("-server.grpc-listen-port={}", site.port(SELF, GRPC)),
        ],
        readiness: Readiness::Http(url(port, "/ready")),
        fingerprint,
        ..unit
    }
    .into())
}

/// One entry a component, with the labels that discovery would give it.
fn paths(site: &Site) -> Vec<Value> {
    let hidden = site.faults.contains(&Fault::LogsHidden);
    site.components
        .iter()
        .map(|&component| {
            let directory =
                site.input
                    .lab
                    .container_logs(component, component.name(), site.instance);
            let file = if hidden { "hidden.log" } else { "0.log" };
            let mut labels = Mapping::new();
            for (name, value) in pod_labels(component, component.name()) {
                labels.insert(name.into(), value.into());
            }
            let path = directory.join(file).display().to_string();
            labels.insert("__path__".into(), path.into());
            let mut entry = Mapping::new();
            entry.insert("targets".into(), vec![Value::from("localhost")].into());
            entry.insert("labels".into(), labels.into());
            Value::Mapping(entry)
        })
        .collect()
}
