//! Alertmanager: one instance, no cluster, its receiver the consumer's admin port.

use blueprint::Component;

use super::{Rendered, Site, flag, url};
use crate::{HostError, Readiness, Unit};

const SELF: Component = Component::Alertmanager;

pub(super) fn render(site: &Site) -> Result<Rendered, HostError> {
    let text = site.local_manifest(SELF, "alertmanager.yml")?;
    let config = site.write(SELF, "alertmanager.yml", &text)?;
    let port = site.port(SELF, "http");
    let unit = Unit {
        arguments: vec![
            flag("config.file", &config.path),
            flag("storage.path", &site.data(SELF)?),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
        ],
        readiness: Readiness::Http(url(port, "/-/ready")),
        ..site.unit(SELF)
    };
    Ok(Rendered {
        units: vec![unit],
        reload: config.changed,
    })
}
