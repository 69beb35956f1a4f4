//! Loki: one process on the lab's object store.

use blueprint::{Account, Component};
use lab::passwords;

use super::{Rendered, Site, flag, url};
use crate::{HostError, Readiness, Unit, fingerprint::Fingerprint, ports::GRPC};

const SELF: Component = Component::Loki;

pub(super) fn render(site: &Site) -> Result<Rendered, HostError> {
    let text = site.local_manifest(SELF, "loki.yaml")?;
    let config = site.write(SELF, "loki.yaml", &text)?;
    let (http, grpc) = (site.port(SELF, "http"), site.port(SELF, GRPC));
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
            format!("-server.http-listen-port={http}"),
        ],
        environment: [
            (
                "LOKI_S3_ACCESS_KEY",
                Account::MinioLoki.username().to_owned(),
            ),
            (
                "LOKI_S3_SECRET_KEY",
                passwords::read(&site.input.lab, Account::MinioLoki)?,
            ),
            ("LOKI_DATA", site.data(SELF)?.display().to_string()),
            ("LOKI_GRPC_PORT", grpc.to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect(),
        after: vec![Component::Minio.name().to_owned()],
        readiness: Readiness::Http(url(http, "/ready")),
        // It uploads its index and delete requests while it stops.
        stop_grace: std::time::Duration::from_secs(20),
        fingerprint,
        ..unit
    }
    .into())
}
