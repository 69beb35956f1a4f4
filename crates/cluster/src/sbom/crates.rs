//! The crates of `Cargo.lock`: all that cargo may build here, for the tests too.

use std::collections::BTreeSet;

use oci::Digest;
use serde::Deserialize;

use super::{
    LAB,
    cyclonedx::{Component, Hash, Kind},
    purl::Purl,
};
use crate::ClusterError;

/// In the program, because an installation has no workspace.
pub(super) const LOCK: &str = include_str!("../../../../Cargo.lock");

/// Where cargo writes that a crate comes from crates.io.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Debug, Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    /// By name, with the version where there are several, with the source where that does not tell them apart either.
    #[serde(default)]
    dependencies: Vec<String>,
}

/// A crate with the references of its dependencies.
#[derive(Debug)]
pub(super) struct Crate {
    name: String,
    version: String,
    /// What crates.io gives; the lab's own have none.
    digest: Option<Digest>,
    pub(super) dependencies: BTreeSet<String>,
}

impl Crate {
    /// Whether it is a member of the workspace.
    pub(super) fn is_own(&self) -> bool {
        self.digest.is_none()
    }

    /// Its name in the document.
    pub(super) fn bom_ref(&self) -> String {
        bom_ref(&self.name, &self.version, self.is_own())
    }

    pub(super) fn component(&self) -> Component {
        let bom_ref = self.bom_ref();
        Component {
            hashes: self.digest.map(Hash::of).into_iter().collect(),
            // An own crate has none: under its name crates.io may have somebody else's.
            purl: (!self.is_own()).then(|| bom_ref.clone()),
            ..Component::new(Kind::Library, &bom_ref, &self.name, &self.version)
        }
    }
}

fn bom_ref(name: &str, version: &str, is_own: bool) -> String {
    if is_own {
        return format!("{LAB}/{name}");
    }
    Purl::new("cargo", name, version).to_string()
}

/// Reads the crates of a `Cargo.lock`.
pub(super) fn read(lock: &str) -> Result<Vec<Crate>, ClusterError> {
    let malformed = |reason: String| ClusterError::malformed("Cargo.lock", reason);
    let lock: Lock = toml::from_str(lock).map_err(|error| malformed(error.to_string()))?;
    let mut crates = Vec::new();
    for package in &lock.package {
        let digest = match (package.source.as_deref(), &package.checksum) {
            (None, _) => None,
            (Some(CRATES_IO), Some(checksum)) => Some(format!("sha256:{checksum}").parse()?),
            (Some(source), _) => {
                return Err(malformed(format!(
                    "{} comes from {source}, not from crates.io with a checksum",
                    package.name
                )));
            }
        };
        let mut dependencies = BTreeSet::new();
        for dependency in &package.dependencies {
            let found = find(&lock, dependency)
                .ok_or_else(|| malformed(format!("it has no {dependency}")))?;
            dependencies.insert(bom_ref(&found.name, &found.version, found.source.is_none()));
        }
        crates.push(Crate {
            name: package.name.clone(),
            version: package.version.clone(),
            digest,
            dependencies,
        });
    }
    Ok(crates)
}

/// The package that a dependency names.
fn find<'a>(lock: &'a Lock, dependency: &str) -> Option<&'a Package> {
    let (name, version) = match dependency.split_once(' ') {
        Some((name, rest)) => (name, rest.split(' ').next()),
        None => (dependency, None),
    };
    lock.package.iter().find(|package| {
        package.name == name && version.is_none_or(|version| package.version == version)
    })
}
