//! Manifests and indexes as the OCI image specification 1.1 defines them, with Docker's media types for the same.
//!
//! These types are this crate's own, not the registry library's: what is written must not change its bytes with a new
//! version of a library, and digests are checked as they are read.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Digest, OciError};

/// An image's or artifact's manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// A list of manifests by platform.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An image's configuration.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// A layer as a plain tar archive.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// A layer as a compressed tar archive.
pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The configuration of an artifact that needs none: `{}`.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Docker's name of a manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's name of an index.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// The annotation that names an image within a layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Bigger manifests are refused: registries take up to 4 MiB (distribution specification, "Pushing manifests").
pub const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// What names a content: its type, digest and size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The content's type.
    pub media_type: String,
    /// The content's digest.
    pub digest: Digest,
    /// The content's size in bytes.
    pub size: u64,
    /// The platform, on an index' entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Free notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// Of these bytes.
    pub fn of(media_type: &str, content: &[u8]) -> Self {
        Self::new(media_type, Digest::of(content), content.len() as u64)
    }

    /// Without platform and annotations.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            platform: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Whether it names an index rather than a manifest.
    pub fn is_index(&self) -> bool {
        matches!(self.media_type.as_str(), INDEX | DOCKER_LIST)
    }
}

/// What an image runs on, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `amd64`, `arm64`, ...
    pub architecture: String,
    /// `linux`, ...
    pub os: String,
    /// As in `arm`'s `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// Linux on this architecture, in Go's words.
    pub fn linux(architecture: &str) -> Self {
        Self {
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            variant: None,
        }
    }

    /// Linux on the architecture that this program was compiled for.
    pub fn host() -> Self {
        Self::linux(match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        })
    }

    /// Whether this is what `wanted` asks for; a variant that is not asked for does not matter.
    pub fn satisfies(&self, wanted: &Self) -> bool {
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (wanted.variant.is_none() || self.variant == wanted.variant)
    }
}

impl FromStr for Platform {
    type Err = OciError;

    fn from_str(text: &str) -> Result<Self, OciError> {
        let mut words = text.split('/');
        let (os, architecture, variant) = (words.next(), words.next(), words.next());
        match (os, architecture, words.next()) {
            (Some(os), Some(architecture), None)
                if text.split('/').all(|word| {
                    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
                }) =>
            {
                Ok(Self {
                    architecture: architecture.to_owned(),
                    os: os.to_owned(),
                    variant: variant.map(str::to_owned),
                })
            }
            _ => Err(OciError::Name {
                kind: "platform",
                text: text.to_owned(),
                reason: "it is not os/architecture or os/architecture/variant".to_owned(),
            }),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(formatter, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// An image's or artifact's manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u8,
    /// [`MANIFEST`] or [`DOCKER_MANIFEST`]; optional in OCI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What an artifact is, where it is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// Free notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// An OCI manifest.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            annotations: BTreeMap::new(),
        }
    }

    /// The layers and the configuration, in this order.
    pub fn into_blobs(self) -> impl Iterator<Item = Descriptor> {
        self.layers.into_iter().chain([self.config])
    }
}

/// A list of manifests by platform, and the `index.json` of a layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u8,
    /// [`INDEX`] or [`DOCKER_LIST`]; optional in OCI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests.
    pub manifests: Vec<Descriptor>,
    /// Free notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// An OCI index of these manifests.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(INDEX.to_owned()),
            manifests,
            annotations: BTreeMap::new(),
        }
    }
}

/// Reads JSON that `what` names in the error.
pub(crate) fn parse<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, OciError> {
    serde_json::from_slice(bytes).map_err(|error| OciError::malformed(what, error))
}

/// Writes JSON in the order of the fields and without spaces, which gives the same bytes each time.
pub(crate) fn to_json(value: &impl Serialize) -> Result<Vec<u8>, OciError> {
    serde_json::to_vec(value).map_err(|error| OciError::malformed("a value to be written", error))
}

/// The media type that a manifest or index says it has, for answers that do not.
pub(crate) fn media_type_of(what: &str, bytes: &[u8]) -> Result<String, OciError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kind {
        schema_version: u32,
        media_type: Option<String>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    let kind: Kind = parse(what, bytes)?;
    if kind.schema_version != 2 {
        return Err(OciError::malformed(
            what,
            format!("its schemaVersion is {}, expected 2", kind.schema_version),
        ));
    }
    let implied = match kind.manifests {
        Some(_) => INDEX,
        None => MANIFEST,
    };
    let media_type = kind.media_type.unwrap_or_else(|| implied.to_owned());
    let is_list = matches!(media_type.as_str(), INDEX | DOCKER_LIST);
    let is_known = is_list || matches!(media_type.as_str(), MANIFEST | DOCKER_MANIFEST);
    // A content that is both would mean two things to two readers (CVE-2021-41190).
    if !is_known || is_list != (implied == INDEX) {
        return Err(OciError::malformed(
            what,
            format!("its mediaType is {media_type}"),
        ));
    }
    Ok(media_type)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn descriptors() -> impl Strategy<Value = Descriptor> {
        let platform = ("[a-z0-9]{1,6}", proptest::option::of("v[0-9]"));
        (
            "[a-z]{1,9}/[a-z.+]{1,20}",
            any::<[u8; 4]>(),
            any::<u64>(),
            proptest::option::of(platform),
            proptest::collection::btree_map("[a-z.]{1,9}", "\\PC{0,9}", 0..3),
        )
            .prop_map(
                |(media_type, content, size, platform, annotations)| Descriptor {
                    media_type,
                    digest: Digest::of(&content),
                    size,
                    platform: platform.map(|(architecture, variant)| Platform {
                        variant,
                        ..Platform::linux(&architecture)
                    }),
                    annotations,
                },
            )
    }

    proptest! {
        #[test]
        fn a_manifest_reads_as_it_is_written(
            config in descriptors(),
            layers in proptest::collection::vec(descriptors(), 0..4),
        ) {
            let manifest = Manifest::new(config, layers);
            let bytes = to_json(&manifest).unwrap();
            prop_assert_eq!(&bytes, &to_json(&manifest).unwrap());
            prop_assert_eq!(parse::<Manifest>("it", &bytes).unwrap(), manifest);
            prop_assert_eq!(media_type_of("it", &bytes).unwrap(), MANIFEST);
        }

        #[test]
        fn an_index_reads_as_it_is_written(manifests in proptest::collection::vec(descriptors(), 0..4)) {
            let index = Index::new(manifests);
            let bytes = to_json(&index).unwrap();
            prop_assert_eq!(parse::<Index>("it", &bytes).unwrap(), index);
            prop_assert_eq!(media_type_of("it", &bytes).unwrap(), INDEX);
        }

        #[test]
        fn no_bytes_break_the_parser(bytes: Vec<u8>, text in "[{}\\[\\]\",:a-zA-Z0-9]{0,60}") {
            for bytes in [&bytes, text.as_bytes()] {
                let _ = parse::<Manifest>("it", bytes);
                let _ = parse::<Index>("it", bytes);
                let _ = media_type_of("it", bytes);
            }
        }
    }

    #[test]
    fn a_manifest_that_calls_itself_an_index_is_refused() {
        let text = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","layers":[]}}"#);
        assert!(media_type_of("it", text.as_bytes()).is_err());
        let text = format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","manifests":[]}}"#);
        assert!(media_type_of("it", text.as_bytes()).is_err());
        let old = r#"{"schemaVersion":1}"#;
        let error = media_type_of("it", old.as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it is malformed: its schemaVersion is 1, expected 2"
        );
    }

    #[test]
    fn a_platform_is_satisfied_by_its_variants() {
        let v8 = Platform {
            variant: Some("v8".to_owned()),
            ..Platform::linux("arm64")
        };
        assert!(v8.satisfies(&Platform::linux("arm64")));
        assert!(!Platform::linux("arm64").satisfies(&v8));
        assert!(!v8.satisfies(&Platform::linux("amd64")));
        assert_eq!(v8.to_string(), "linux/arm64/v8");
        assert_eq!("linux/arm64/v8".parse::<Platform>().unwrap(), v8);
        for bad in ["", "linux", "linux/", "a/b/c/d", "linux/am d64"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
