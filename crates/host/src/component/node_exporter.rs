//! The node exporter: this machine is the lab's only node.

use blueprint::Component;

use super::{Rendered, Site, url};
use crate::{Readiness, Unit};

const SELF: Component = Component::NodeExporter;

pub(super) fn render(site: &Site) -> Rendered {
    let port = site.port(SELF, "metrics");
    Unit {
        arguments: vec![
            format!("--web.listen-address=127.0.0.1:{port}"),
            // Debian's build turns it on; it logs an error a scrape where systemd does not run.
            "--no-collector.systemd".to_owned(),
        ],
        // The landing page: a scrape that is only asked for its status is cut off, and logged line by line.
        readiness: Readiness::Http(url(port, "/")),
        ..site.unit(SELF)
    }
    .into()
}
