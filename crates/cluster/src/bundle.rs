//! The lab in one file, for a machine without a network: what goes into it, and a lab that is made of it.
//!
//! A bundle carries every image that the manifests pin, the node's and the registry's for kind, the lab's own two, the
//! manifests with Argo CD's installation, and the bill of materials. A lab that is bootstrapped from one keeps the manifests
//! and its own images in its directory, as an installation has them; from then on it needs neither the file nor a workspace.

mod collect;
mod relocation;
mod unpack;

use std::path::Path;

use oci::{ImageSource as _, NamedImage, OciError, Reference, manifest::Descriptor};
use terminal::Setting;

pub use collect::create;
pub(crate) use unpack::unpack;

use crate::{ClusterError, images::OWN};

/// The bill of materials' type (CycloneDX, "Media types").
const SBOM_TYPE: &str = "application/vnd.cyclonedx+json";

/// The manifests' name in a bundle.
const MANIFESTS: &str = "lab/manifests";

/// The bill of materials' name in a bundle.
const SBOM: &str = "lab/sbom";

/// Under its directory a lab keeps what a bundle brought.
const KEPT: &str = "bundle";

/// The setting of a lab: its own manifests and images where it was made of a bundle.
pub fn setting_of(setting: &Setting) -> Setting {
    let kept = setting.lab.directory().join(KEPT);
    if kept.join("manifests").is_dir() {
        setting.installed_at(kept)
    } else {
        setting.clone()
    }
}

/// The bill of materials of a bundle.
///
/// # Errors
/// When the bundle has none, or it is damaged.
pub fn sbom(bundle: &oci::Bundle) -> Result<Vec<u8>, ClusterError> {
    let parts = bundle.parts(&named(bundle, SBOM)?)?;
    let found = parts.blobs.iter().find(|blob| blob.media_type == SBOM_TYPE);
    match found {
        Some(blob) => Ok(bundle.read(blob)?),
        None => Err(ClusterError::malformed(
            format!("{SBOM} of {}", bundle.what()),
            format!("it has nothing of type {SBOM_TYPE}"),
        )),
    }
}

/// An image of a bundle with the place that it gets in a registry.
pub(crate) struct Placed {
    /// How the manifests name it.
    pub(crate) name: Reference,
    /// What a registry is given of it.
    pub(crate) image: Descriptor,
}

impl Placed {
    /// Its place below a registry's address: the same path as upstream, which is what a mirror of upstream has.
    pub(crate) fn below(&self, registry: &str) -> Result<Reference, ClusterError> {
        let repository = self.name.repository();
        let tag = self.name.tag().map(|tag| format!(":{tag}"));
        Ok(format!("{registry}/{repository}{}", tag.unwrap_or_default()).parse()?)
    }
}

/// Every image of a bundle that `wanted` names.
pub(crate) fn placed(
    bundle: &oci::Bundle,
    wanted: impl Fn(&Reference) -> bool,
) -> Result<Vec<Placed>, ClusterError> {
    let mut placed = Vec::new();
    for image in bundle.images()? {
        let name: Reference = image.name.as_deref().unwrap_or_default().parse()?;
        if wanted(&name) {
            placed.push(Placed {
                image: bundle.loaded(&image)?,
                name,
            });
        }
    }
    Ok(placed)
}

/// The one image of this name, without its tag.
fn named(bundle: &oci::Bundle, name: &str) -> Result<Descriptor, ClusterError> {
    let images = bundle.images()?;
    let is_named = |image: &&NamedImage| {
        let found = image.name.as_deref().and_then(|name| name.split_once(':'));
        found.is_some_and(|(found, _tag)| found == name)
    };
    match images.iter().find(is_named) {
        Some(image) => Ok(image.descriptor.clone()),
        None => Err(OciError::NoImage {
            name: name.to_owned(),
            place: bundle.what(),
            known: images.into_iter().filter_map(|image| image.name).collect(),
        }
        .into()),
    }
}

/// Whether it is one of the things that the lab makes itself.
pub(crate) fn is_own(name: &Reference) -> bool {
    let made = OWN.map(|component| format!("lab/{component}"));
    let made = made.iter().map(String::as_str).chain([MANIFESTS, SBOM]);
    let repository = name.repository();
    name.registry() == "docker.io" && made.into_iter().any(|made| made == repository)
}

/// Those of a bundle that the container engine itself runs: what the manifests of a lab made of it name by tag alone.
pub(crate) fn of_engine(
    bundle: &oci::Bundle,
    manifests: &Path,
) -> Result<Vec<Reference>, ClusterError> {
    let files = crate::pins::read(&manifests.join("overlays/kind"))?;
    let files = files.iter().filter(|file| is_of_engine(file.path()));
    let tags: Vec<Reference> = files.flat_map(|file| file.images().to_vec()).collect();
    let placed = placed(bundle, |name| {
        name.by_tag().is_some_and(|name| tags.contains(&name))
    })?;
    Ok(placed.into_iter().map(|placed| placed.name).collect())
}

/// Whether the images that a file of the manifests names run beside the cluster, not in it.
fn is_of_engine(path: &Path) -> bool {
    path.ends_with("overlays/kind/cluster.yaml") || path.ends_with("overlays/kind/registry.yaml")
}
