//! The blackbox exporter; its modules that need a cluster's credentials stay unused here.

use blueprint::Component;

use super::{Rendered, Site, flag, url};
use crate::{HostError, Readiness, Unit};

const SELF: Component = Component::Blackbox;

pub(super) fn render(site: &Site) -> Result<Rendered, HostError> {
    let text = site.local_manifest(SELF, "blackbox.yml")?;
    let config = site.write(SELF, "blackbox.yml", &text)?;
    let port = site.port(SELF, "http");
    let unit = Unit {
        arguments: vec![
            flag("config.file", &config.path),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ],
        readiness: Readiness::Http(url(port, "/-/healthy")),
        ..site.unit(SELF)
    };
    Ok(Rendered {
        units: vec![unit],
        reload: config.changed,
    })
}
