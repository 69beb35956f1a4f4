//! The lab's software bill of materials: every crate, image, program and file that it is made of, as CycloneDX 1.6.
//!
//! The same inputs in any order give the same bytes: no time, machine or path gets into the document, and its serial number
//! is a hash of its content. The format's types are this crate's own: what is written is six small objects.
//!
//! Source: CycloneDX 1.6 (ECMA-424), JSON schema.

mod crates;
mod cyclonedx;
mod purl;

use std::collections::{BTreeMap, BTreeSet};

use oci::{Digest, Reference};
use sha2::{Digest as _, Sha256};
use uuid::Builder;

use crate::ClusterError;
use cyclonedx::{Component, Dependency, Document, Hash, Kind, Metadata, Source};
use purl::Purl;

/// The name of the document's subject, and the beginning of the references of what is the lab's own.
const LAB: &str = "lab";

/// What the lab is made of besides its crates, which are read from the `Cargo.lock` that this program was built with.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Container images.
    pub images: Vec<Image>,
    /// Programs: kind, kustomize, kubectl.
    pub programs: Vec<Download>,
    /// Files: Argo CD's installation.
    pub files: Vec<Download>,
}

/// A container image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its name, the last part of its repository: `loki`.
    pub name: String,
    /// Where it comes from, as in `docker.io/grafana/loki`. The lab's own come from nowhere until a lab pushes them.
    pub repository: Option<String>,
    /// Its tag, for people.
    pub tag: Option<String>,
    /// The digest of its manifest or index.
    pub digest: Digest,
    /// The architecture that is meant of an index.
    pub architecture: Option<String>,
}

impl Image {
    /// The image of this name and digest; `reference` may have another digest or none.
    pub fn new(reference: &Reference, digest: Digest, architecture: Option<&str>) -> Self {
        let repository = reference.repository();
        let name = repository.rsplit('/').next().unwrap_or(repository);
        Self {
            name: name.to_owned(),
            repository: Some(format!("{}/{repository}", reference.registry())),
            tag: reference.tag().map(str::to_owned),
            digest,
            architecture: architecture.map(str::to_owned),
        }
    }
}

/// A program or file that is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// Its name.
    pub name: String,
    /// Its version, as its maker writes it.
    pub version: String,
    /// Where it comes from.
    pub url: Option<String>,
    /// The SHA-256 of what is fetched.
    pub sha256: Option<Digest>,
}

/// The document as JSON, with a line feed at its end.
///
/// # Errors
/// [`ClusterError::Malformed`] for a `Cargo.lock` that cannot be read.
pub fn document(inputs: &Inputs) -> Result<Vec<u8>, ClusterError> {
    of(crates::read(crates::LOCK)?, inputs)
}

fn of(crates: Vec<crates::Crate>, inputs: &Inputs) -> Result<Vec<u8>, ClusterError> {
    let crates: BTreeMap<String, crates::Crate> = crates
        .into_iter()
        .map(|found| (found.bom_ref(), found))
        .collect();
    // By reference, which is unique in a document, and in whose order they are written.
    let mut components = BTreeMap::new();
    let mut dependencies = BTreeMap::new();
    let mut own = BTreeSet::new();
    for (bom_ref, found) in &crates {
        components.insert(bom_ref.clone(), found.component());
        dependencies.insert(bom_ref.clone(), found.dependencies.clone());
        if found.is_own() {
            own.insert(bom_ref.clone());
        }
    }
    let others = inputs.images.iter().map(image);
    let others = others.chain(
        inputs
            .programs
            .iter()
            .map(|it| download(it, Kind::Application)),
    );
    for component in others.chain(inputs.files.iter().map(|it| download(it, Kind::File))) {
        own.insert(component.bom_ref.clone());
        dependencies.insert(component.bom_ref.clone(), BTreeSet::new());
        components.insert(component.bom_ref.clone(), component);
    }
    dependencies.insert(LAB.to_owned(), own);
    let mut document = Document::new(
        Metadata {
            component: Component {
                licenses: vec![cyclonedx::License::of(env!("CARGO_PKG_LICENSE"))],
                ..Component::new(Kind::Application, LAB, LAB, env!("CARGO_PKG_VERSION"))
            },
        },
        components.into_values().collect(),
        dependencies
            .into_iter()
            .map(|(bom_ref, depends_on)| Dependency {
                bom_ref,
                depends_on,
            })
            .collect(),
    );
    document.serial_number = Some(serial_number(&json(&document)?));
    let mut bytes = json(&document)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn json(document: &Document) -> Result<Vec<u8>, ClusterError> {
    serde_json::to_vec_pretty(document)
        .map_err(|error| ClusterError::malformed("the bill of materials", error))
}

/// A UUID of version 8 (RFC 9562), which is free to be made of SHA-256; that of version 5 is made of SHA-1.
fn serial_number(content: &[u8]) -> String {
    let hash = Sha256::digest(content);
    let bytes = std::array::from_fn(|index| hash[index]);
    Builder::from_custom_bytes(bytes)
        .into_uuid()
        .urn()
        .to_string()
}

fn image(image: &Image) -> Component {
    let digest = image.digest.to_string();
    let purl = Purl::new("oci", &image.name, &digest)
        .with("repository_url", image.repository.as_deref())
        .with("tag", image.tag.as_deref())
        .with("arch", image.architecture.as_deref())
        .to_string();
    let version = image.tag.as_deref().unwrap_or(&digest);
    let name = image.repository.as_deref().unwrap_or(&image.name);
    Component {
        hashes: vec![Hash::of(image.digest)],
        purl: Some(purl.clone()),
        ..Component::new(Kind::Container, &purl, name, version)
    }
}

fn download(download: &Download, kind: Kind) -> Component {
    let checksum = download.sha256.map(|digest| digest.to_string());
    let purl = Purl::new("generic", &download.name, &download.version)
        .with("download_url", download.url.as_deref())
        .with("checksum", checksum.as_deref())
        .to_string();
    let hashes: Vec<_> = download.sha256.map(Hash::of).into_iter().collect();
    let source = download.url.as_ref().map(|url| Source {
        kind: "distribution",
        url: url.clone(),
        hashes: hashes.clone(),
    });
    Component {
        hashes,
        purl: Some(purl.clone()),
        external_references: source.into_iter().collect(),
        ..Component::new(kind, &purl, &download.name, &download.version)
    }
}

#[cfg(test)]
mod tests;
