//! The part of CycloneDX 1.6 that the lab writes. Fields stand in the order of the schema.

use std::collections::BTreeSet;

use oci::Digest;
use serde::Serialize;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) serial_number: Option<String>,
    /// How often a document of this serial number was changed.
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
    dependencies: Vec<Dependency>,
}

impl Document {
    pub(super) fn new(
        metadata: Metadata,
        components: Vec<Component>,
        dependencies: Vec<Dependency>,
    ) -> Self {
        Self {
            schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
            bom_format: "CycloneDX",
            spec_version: "1.6",
            serial_number: None,
            version: 1,
            metadata,
            components,
            dependencies,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Metadata {
    pub(super) component: Component,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Application,
    Container,
    File,
    Library,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Component {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    pub(super) bom_ref: String,
    pub(super) name: String,
    pub(super) version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) licenses: Vec<License>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) purl: Option<String>,
    #[serde(rename = "externalReferences", skip_serializing_if = "Vec::is_empty")]
    pub(super) external_references: Vec<Source>,
}

impl Component {
    pub(super) fn new(kind: Kind, bom_ref: &str, name: &str, version: &str) -> Self {
        Self {
            kind,
            bom_ref: bom_ref.to_owned(),
            name: name.to_owned(),
            version: version.to_owned(),
            hashes: Vec::new(),
            licenses: Vec::new(),
            purl: None,
            external_references: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Hash {
    alg: &'static str,
    content: String,
}

impl Hash {
    pub(super) fn of(digest: Digest) -> Self {
        Self {
            alg: "SHA-256",
            content: digest.hex(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct License {
    license: Id,
}

#[derive(Debug, Serialize)]
struct Id {
    id: &'static str,
}

impl License {
    /// By its identifier of SPDX.
    pub(super) fn of(id: &'static str) -> Self {
        Self { license: Id { id } }
    }
}

/// An external reference.
#[derive(Debug, Serialize)]
pub(super) struct Source {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) url: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) hashes: Vec<Hash>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dependency {
    #[serde(rename = "ref")]
    pub(super) bom_ref: String,
    /// Empty where something is known to depend on nothing.
    pub(super) depends_on: BTreeSet<String>,
}
