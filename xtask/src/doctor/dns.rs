//! Whether the registries' names can be resolved.

use std::{collections::BTreeSet, net::ToSocketAddrs as _, thread, time::Duration};

use tokio::{sync::oneshot, time::timeout};

use super::finding::{Finding, Scope};

/// The resolver's own bound is longer than anyone looks at a screen.
const PATIENCE: Duration = Duration::from_secs(3);

/// A registry, and whether its name was resolved.
type Resolved = (String, bool);

pub(super) async fn resolve(registries: &BTreeSet<String>) -> Vec<Resolved> {
    let mut asked = Vec::new();
    for registry in registries {
        let (tell, told) = oneshot::channel();
        let host = host(registry).to_owned();
        // A thread of its own: the runtime would wait for one of its pool before the command ends.
        thread::spawn(move || {
            let found = (host, 443).to_socket_addrs().is_ok();
            // Nobody listens once the time is over.
            let _ = tell.send(found);
        });
        asked.push((registry.clone(), told));
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut resolved = Vec::new();
    for (registry, told) in asked {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        let found = timeout(left, told).await;
        resolved.push((registry, matches!(found, Ok(Ok(true)))));
    }
    resolved
}

/// Where images of a registry are pulled from.
fn host(registry: &str) -> &str {
    match registry {
        "docker.io" => "registry-1.docker.io",
        other => other.split(':').next().unwrap_or(other),
    }
}

/// With a proxy it is the proxy that resolves names.
pub(super) fn judge(resolved: &[Resolved], has_proxy: bool) -> Option<Finding> {
    if resolved.is_empty() {
        return None;
    }
    let names = |wanted: bool| -> Vec<&str> {
        resolved
            .iter()
            .filter(|(_, found)| *found == wanted)
            .map(|(name, _)| name.as_str())
            .collect()
    };
    let lost = names(false);
    if lost.is_empty() {
        return Some(Finding::good(
            Scope::Kind,
            "names",
            format!("{} resolve", names(true).join(", ")),
        ));
    }
    let found = format!("{} cannot be resolved", lost.join(", "));
    if has_proxy {
        return Some(Finding::good(
            Scope::Kind,
            "names",
            format!("{found}, which the proxy may do"),
        ));
    }
    Some(Finding::less(
        Scope::Kind,
        "names",
        format!("{found}: images cannot be pulled from there"),
        format!(
            "mend it (`getent hosts {}`), or bootstrap from a bundle",
            host(lost[0])
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::{super::finding::told, *};

    fn said(resolved: &[(&str, bool)], has_proxy: bool) -> String {
        let resolved: Vec<_> = resolved
            .iter()
            .map(|(name, found)| ((*name).to_owned(), *found))
            .collect();
        told(judge(&resolved, has_proxy))
    }

    #[test]
    fn names_that_resolve_are_one_line() {
        assert_eq!(
            said(&[("docker.io", true), ("quay.io", true)], false),
            "kind ok names: docker.io, quay.io resolve"
        );
        assert_eq!(said(&[], false), "");
    }

    #[test]
    fn names_that_do_not_are_a_machine_without_a_way_out() {
        assert_eq!(
            said(&[("docker.io", false), ("quay.io", true)], false),
            "kind less names: docker.io cannot be resolved: images cannot be pulled from there\n  \
             mend it (`getent hosts registry-1.docker.io`), or bootstrap from a bundle"
        );
    }

    #[test]
    fn a_proxy_resolves_them_itself() {
        assert_eq!(
            said(&[("quay.io", false)], true),
            "kind ok names: quay.io cannot be resolved, which the proxy may do"
        );
    }

    #[tokio::test]
    async fn a_name_of_this_machine_resolves() {
        let registries = ["localhost:5000".to_owned()].into();
        assert_eq!(
            resolve(&registries).await,
            [("localhost:5000".to_owned(), true)]
        );
    }
}
