//! Grafana: provisioned data sources and dashboards, the lab's own administrator.

use std::{fs, path::Path};

use blueprint::{Account, Component};
use lab::passwords;

use super::{Rendered, Site, url};
use crate::{HostError, Readiness, Unit, fingerprint::Fingerprint};

const SELF: Component = Component::Grafana;

/// What Grafana reads beside `grafana.ini`.
const DIRECTORIES: [&str; 2] = ["dashboards", "provisioning"];

pub(super) fn render(site: &Site) -> Result<Rendered, HostError> {
    let unit = site.unit(SELF);
    let mut fingerprint = Fingerprint::default().program(&unit.program);
    for name in files(site)? {
        let text = site.local_manifest(SELF, &name)?;
        site.write(SELF, &name, &text)?;
        fingerprint = fingerprint.bytes(text);
    }
    let config = site.input.lab.config(SELF);
    let data = site.data(SELF)?;
    let port = site.port(SELF, "http");
    let password = passwords::path(&site.input.lab, Account::GrafanaAdmin);
    Ok(Unit {
        arguments: vec![
            "server".to_owned(),
            format!("--config={}", config.join("grafana.ini").display()),
            format!("--homepath={}", home(&unit.program).display()),
        ],
        environment: [
            ("GF_SERVER_HTTP_ADDR", "127.0.0.1".to_owned()),
            ("GF_SERVER_HTTP_PORT", port.to_string()),
            ("GF_PATHS_DATA", data.display().to_string()),
            ("GF_PATHS_LOGS", data.join("log").display().to_string()),
            (
                "GF_PATHS_PLUGINS",
                data.join("plugins").display().to_string(),
            ),
            (
                "GF_PATHS_PROVISIONING",
                config.join("provisioning").display().to_string(),
            ),
            (
                "LAB_DASHBOARDS",
                config.join("dashboards").display().to_string(),
            ),
            (
                "GF_SECURITY_ADMIN_USER",
                Account::GrafanaAdmin.username().to_owned(),
            ),
            (
                "GF_SECURITY_ADMIN_PASSWORD",
                format!("$__file{{{}}}", password.display()),
            ),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect(),
        readiness: Readiness::Http(url(port, "/api/health")),
        fingerprint: fingerprint.finish(),
        ..unit
    }
    .into())
}

/// Where Grafana's own `conf/` and `public/` lie: beside `bin/` in a release archive, below `share/` in a package.
fn home(program: &Path) -> std::path::PathBuf {
    let real = program
        .canonicalize()
        .unwrap_or_else(|_| program.to_owned());
    let prefix = real
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("/"));
    let candidates = [prefix.join("share/grafana"), prefix.to_owned()];
    candidates
        .into_iter()
        .find(|home| home.join("conf/defaults.ini").exists())
        .unwrap_or_else(|| "/usr/share/grafana".into())
}

/// Grafana's own files under `manifests/`, not those that only a cluster reads: `grafana.ini`, and everything below
/// [`DIRECTORIES`], as paths relative to the component's directory, in the order of their names.
fn files(site: &Site) -> Result<Vec<String>, HostError> {
    let root = site.input.manifests.join(SELF.name());
    let mut names = vec!["grafana.ini".to_owned()];
    let mut pending: Vec<_> = DIRECTORIES.iter().map(|name| root.join(name)).collect();
    while let Some(directory) = pending.pop() {
        let read = || HostError::file("read", &directory);
        for entry in fs::read_dir(&directory).map_err(read())? {
            let path = entry.map_err(read())?.path();
            if path.is_dir() {
                pending.push(path);
            } else if let Ok(relative) = path.strip_prefix(&root) {
                names.push(relative.display().to_string());
            }
        }
    }
    names.sort_unstable();
    Ok(names)
}
