//! Pyroscope: one process on local storage.

use std::fs;

use blueprint::Component;

use super::{Rendered, Site, flag, url};
use crate::{HostError, Readiness, Unit, fingerprint::Fingerprint, ports::GRPC};

const SELF: Component = Component::Pyroscope;

pub(super) fn render(site: &Site) -> Result<Rendered, HostError> {
    let text = site.local_manifest(SELF, "pyroscope.yaml")?;
    let config = site.write(SELF, "pyroscope.yaml", &text)?;
    let data = site.data(SELF)?;
    // It complains about a missing database until the first profile makes one.
    let database = data.join("db");
    fs::create_dir_all(&database).map_err(HostError::file("create", database))?;
    let port = site.port(SELF, "http");
    let unit = site.unit(SELF);
    let fingerprint = Fingerprint::default()
        .program(&unit.program)
        .bytes(text)
        .finish();
    Ok(Unit {
        arguments: vec![
            flag("config.file", &config.path),
            "-config.expand-env=true".to_owned(),
            "-server.http-listen-address=127.0.0.1".to_owned(),
            "-server.grpc-listen-address=127.0.0.1".to_owned(),
            format!("-server.http-listen-port={port}"),
        ],
        environment: [
            ("PYROSCOPE_DATA", data.display().to_string()),
            ("PYROSCOPE_GRPC_PORT", site.port(SELF, GRPC).to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect(),
        readiness: Readiness::Http(url(port, "/ready")),
        fingerprint,
        ..unit
    }
    .into())
}
