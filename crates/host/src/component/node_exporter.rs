//! The node exporter: this machine is the lab's only node.

use blueprint::Component;

use super::{Rendered, Site, url};
use crate::{Readiness, Unit};

const SELF: Component = Component::NodeExporter;

pub(super) fn render(site: &Site) -> Rendered {
    let port = site.port(SELF, "metrics");
    Unit {
        arguments: vec![format!("--web.listen-address=127.0.0.1:{port}")],
        readiness: Readiness::Http(url(port, "/metrics")),
        ..site.unit(SELF)
    }
    .into()
}
