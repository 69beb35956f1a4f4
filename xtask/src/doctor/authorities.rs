//! Certificate authorities of this machine's own, which the nodes of a cluster do not know.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::finding::{Finding, Scope};

/// Where Debian and Fedora take an administrator's own authorities from.
const DIRECTORIES: [&str; 2] = [
    "/usr/local/share/ca-certificates",
    "/etc/pki/ca-trust/source/anchors",
];

/// Where a distribution keeps the bundle that every program reads anyway.
const USUAL: [&str; 4] = ["/etc/ssl/", "/etc/pki/", "/usr/share/", "/nix/store/"];

/// The files that hold such authorities.
pub(super) fn read() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = DIRECTORIES
        .iter()
        .flat_map(|directory| files(Path::new(directory)))
        .collect();
    found.extend(named(|name| env::var(name).ok()));
    found
}

/// What a variable names, unless it is the distribution's own bundle.
fn named(variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let path = variable("SSL_CERT_FILE").filter(|path| !path.is_empty())?;
    let is_usual = USUAL.iter().any(|usual| path.starts_with(usual));
    (!is_usual).then(|| path.into())
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let extension = path.extension().unwrap_or_default();
        if path.is_dir() {
            found.extend(files(&path));
        } else if extension == "crt" || extension == "pem" {
            found.push(path);
        }
    }
    found.sort_unstable();
    found
}

/// A hint and no more: whether a proxy replaces the registries' certificates is seen when an image is pulled. `program` is
/// the container engine, `node` the cluster's node.
pub(super) fn judge(found: &[PathBuf], program: &str, node: &str) -> Option<Finding> {
    let first = found.first()?;
    let more = match found.len() {
        1 => String::new(),
        number => format!(" and {} more", number - 1),
    };
    let file = first.file_stem().unwrap_or_default().to_string_lossy();
    let good = Finding::good(
        Scope::Kind,
        "authorities",
        format!(
            "{}{more}, which the nodes of a cluster do not know",
            first.display()
        ),
    );
    Some(good.hint(format!(
        "only if pulls fail with x509: `{program} cp {} {node}:/usr/local/share/ca-certificates/{file}.crt && {program} exec {node} \
         sh -c 'update-ca-certificates && systemctl restart containerd'`",
        first.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::{super::finding::told, *};

    #[test]
    fn an_authority_of_its_own_is_a_hint() {
        let found = [
            "/usr/local/share/ca-certificates/corp.crt".into(),
            "/b.crt".into(),
        ];
        assert_eq!(
            told(judge(&found, "docker", "lab-default-control-plane")),
            "kind ok authorities: /usr/local/share/ca-certificates/corp.crt and 1 more, which the nodes of a cluster do not know\n  \
             only if pulls fail with x509: `docker cp /usr/local/share/ca-certificates/corp.crt \
             lab-default-control-plane:/usr/local/share/ca-certificates/corp.crt && docker exec lab-default-control-plane \
             sh -c 'update-ca-certificates && systemctl restart containerd'`"
        );
        assert_eq!(told(judge(&[], "docker", "lab-default-control-plane")), "");
    }

    #[test]
    fn the_distributions_own_bundle_is_none() {
        let named = |path: &str| named(|name| (name == "SSL_CERT_FILE").then(|| path.to_owned()));
        assert_eq!(named("/etc/ssl/certs/ca-certificates.crt"), None);
        assert_eq!(named(""), None);
        assert_eq!(named("/home/a/corp.pem"), Some("/home/a/corp.pem".into()));
    }
}
