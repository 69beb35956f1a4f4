//! Prometheus: the manifests' scrape jobs with file discovery in place of Kubernetes', its rules unchanged.

use std::{collections::BTreeMap, fs, path::Path};

use blueprint::Component;
use lab::LabError;
use serde_yaml::{Mapping, Value};
use verify::Fault;

use super::{Rendered, Site, flag, url};
use crate::{
    HostError, PortMap, Readiness, Unit,
    discovery::{TargetGroup, pod_labels, remove_kubernetes},
    names::{localise, names_a_service},
};

const SELF: Component = Component::Prometheus;

/// The job whose targets the blackbox exporter probes.
const SERVICES: &str = "services";

pub(super) fn render(site: &Site) -> Result<Rendered, HostError> {
    let ports = site.ports_seen_by(SELF);
    let path = site.manifest_path(SELF, "prometheus.yml");
    let malformed = |reason: String| {
        HostError::from(LabError::Malformed {
            path: path.clone(),
            reason,
        })
    };
    let mut config: Mapping = serde_yaml::from_str(&site.manifest(SELF, "prometheus.yml")?)
        .map_err(|error| malformed(error.to_string()))?;
    let jobs = match config.remove("scrape_configs") {
        Some(Value::Sequence(jobs)) => jobs,
        _ => return Err(malformed("it has no list `scrape_configs`".to_owned())),
    };
    let mut local = Vec::new();
    for job in jobs {
        let Value::Mapping(mut job) = job else {
            return Err(malformed("a scrape config is not a mapping".to_owned()));
        };
        let name = job
            .get("job_name")
            .and_then(Value::as_str)
            .ok_or_else(|| malformed("a scrape config has no `job_name`".to_owned()))?
            .to_owned();
        let groups = targets(site, &ports, &name, &mut job).map_err(malformed)?;
        let Some(groups) = groups else { continue };
        let file = format!("targets/{name}.json");
        let text =
            serde_json::to_string_pretty(&groups).map_err(|error| malformed(error.to_string()))?;
        site.write(SELF, &file, &text)?;
        let mut discovery = Mapping::new();
        discovery.insert("files".into(), vec![Value::from(file)].into());
        job.insert(
            "file_sd_configs".into(),
            vec![Value::from(discovery)].into(),
        );
        local.push(Value::Mapping(job));
    }
    config.insert("scrape_configs".into(), Value::Sequence(local));
    let text = serde_yaml::to_string(&config).map_err(|error| malformed(error.to_string()))?;
    let config = site.write(SELF, "prometheus.yml", &localise(&text, &ports))?;
    let rules = copy_rules(site)?;

    let port = site.port(SELF, "http");
    let unit = Unit {
        arguments: vec![
            flag("config.file", &config.path),
            flag("storage.tsdb.path", &site.data(SELF)?),
            "--storage.tsdb.retention.time=7d".to_owned(),
            format!("--web.listen-address=127.0.0.1:{port}"),
            // Alertmanager hears of a firing alert again with each evaluation, so that a cut link shows at once.
            "--rules.alert.resend-delay=5s".to_owned(),
        ],
        readiness: Readiness::Http(url(port, "/-/ready")),
        ..site.unit(SELF)
    };
    Ok(Rendered {
        units: vec![unit],
        reload: config.changed || rules,
    })
}

/// The targets of a job on this machine; `None` drops a job whose component does not exist here.
fn targets(
    site: &Site,
    ports: &PortMap,
    name: &str,
    job: &mut Mapping,
) -> Result<Option<Vec<TargetGroup>>, String> {
    if name == SERVICES {
        return probed_services(site, ports, job).map(Some);
    }
    let component: Component = name
        .parse()
        .map_err(|error| format!("the job `{name}` is not a component: {error}"))?;
    remove_kubernetes(job);
    job.remove("static_configs");
    if !site.has(component) {
        return Ok(None);
    }
    let port = match component {
        Component::Rabbitmq => "prometheus",
        _ => component.ports()[0].name,
    };
    let mut labels = pod_labels(component, component.name());
    let unlabelled = site.faults.contains(&Fault::Unlabelled(component));
    if matches!(component, Component::Producer | Component::Consumer) && !unlabelled {
        labels.insert("service_name".to_owned(), name.to_owned());
    }
    Ok(Some(vec![TargetGroup {
        targets: vec![format!("127.0.0.1:{}", ports.of(component, port))],
        labels,
    }]))
}

/// The probed services that exist here. They keep the labels of the manifests and move to a file, so that a service
/// that joins the lab is probed without a restart.
fn probed_services(
    site: &Site,
    ports: &PortMap,
    job: &mut Mapping,
) -> Result<Vec<TargetGroup>, String> {
    remove_kubernetes(job);
    let Some(Value::Sequence(declared)) = job.remove("static_configs") else {
        return Err(format!("the job `{SERVICES}` has no `static_configs`"));
    };
    let mut groups = Vec::new();
    for group in declared {
        let group: TargetGroup =
            serde_yaml::from_value(group).map_err(|error| format!("{SERVICES}: {error}"))?;
        // The link to the exporter may be cut; what the exporter then probes stays as it is.
        let targets: Vec<String> = group
            .targets
            .iter()
            .map(|target| localise(target, site.ports))
            .filter(|target| !names_a_service(target) && !target.contains("kubernetes"))
            .collect();
        if !targets.is_empty() {
            let labels: BTreeMap<_, _> = group.labels;
            groups.push(TargetGroup { targets, labels });
        }
    }
    // The exporter's address stands in a relabelling rule of the job.
    if let Some(rules) = job.get_mut("relabel_configs") {
        let text = serde_yaml::to_string(rules).map_err(|error| error.to_string())?;
        *rules =
            serde_yaml::from_str(&localise(&text, ports)).map_err(|error| error.to_string())?;
    }
    Ok(groups)
}

/// Copies the rule files beside the configuration and removes those that the manifests no longer have.
fn copy_rules(site: &Site) -> Result<bool, HostError> {
    let source = site.manifest_path(SELF, "rules");
    let target = site.input.lab.config(SELF).join("rules");
    let mut changed = false;
    let names = file_names(&source)?;
    for name in &names {
        let text = site.manifest(SELF, &format!("rules/{name}"))?;
        changed |= site.write(SELF, &format!("rules/{name}"), &text)?.changed;
    }
    for stale in file_names(&target)?
        .into_iter()
        .filter(|name| !names.contains(name))
    {
        let path = target.join(stale);
        fs::remove_file(&path).map_err(HostError::file("remove", path))?;
        changed = true;
    }
    Ok(changed)
}

fn file_names(directory: &Path) -> Result<Vec<String>, HostError> {
    let read = || HostError::file("read", directory);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(read())? {
        let name = entry.map_err(read())?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}
