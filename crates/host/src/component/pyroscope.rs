//! Pyroscope: one process on local storage.

use blueprint::Component;

use super::{Rendered, Site, flag, url};
use crate::{HostError, Readiness, Unit, fingerprint::Fingerprint, ports::GRPC};

const SELF: Component = Component::Pyroscope;

pub(super) fn render(site: &Site) -> Result<Rendered, HostError> {
    let text = site.local_manifest(SELF, "pyroscope.yaml")?;
    let config = site.write(SELF, "pyroscope.yaml", &text)?;
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
            format!("-server.grpc-listen-port={}", site.port(SELF, GRPC)),
        ],
        environment: [(
            "PYROSCOPE_DATA".to_owned(),
            site.data(SELF)?.display().to_string(),
        )]
        .into(),
        readiness: Readiness::Http(url(port, "/ready")),
        fingerprint,
        ..unit
    }
    .into())
}
