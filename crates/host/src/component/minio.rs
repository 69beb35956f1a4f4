//! MinIO: one drive, and before it counts as ready, Loki's buckets, policy and user.

use std::time::Duration;

use blueprint::{Account, Component};
use lab::passwords;

use super::{Rendered, Site};
use crate::{HostError, Readiness, Unit};

const SELF: Component = Component::Minio;

pub(super) fn render(site: &Site) -> Result<Rendered, HostError> {
    let port = site.port(SELF, "api");
    let console = site.port(SELF, "console");
    let buckets = site.manifest(SELF, "buckets.txt")?;
    let buckets = buckets
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    let root = passwords::path(&site.input.lab, Account::MinioRoot);
    let user = site.write(SELF, "root-user", Account::MinioRoot.username())?;
    Ok(Unit {
        arguments: vec![
            "server".to_owned(),
            site.data(SELF)?.display().to_string(),
            format!("--address=127.0.0.1:{port}"),
            format!("--console-address=127.0.0.1:{console}"),
        ],
        environment: [
            ("MINIO_ROOT_USER_FILE", user.path.display().to_string()),
            ("MINIO_ROOT_PASSWORD_FILE", root.display().to_string()),
            ("MINIO_PROMETHEUS_AUTH_TYPE", "public".to_owned()),
            // Looks for new releases on the internet otherwise.
            ("MINIO_UPDATE", "off".to_owned()),
            ("MINIO_CALLHOME_ENABLE", "off".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect(),
        readiness: Readiness::ObjectStore {
            port,
            secrets: site.input.lab.secrets(),
            buckets,
            policy: site.manifest_path(SELF, "loki-policy.json"),
        },
        stop_grace: Duration::from_secs(10),
        ..site.unit(SELF)
    }
    .into())
}
