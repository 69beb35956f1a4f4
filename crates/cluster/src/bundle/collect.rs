//! Making a bundle of what the manifests pin.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use lab::LabError;
use oci::{
    Artifact, Bundle, BundleRecipe, Digest, ImageSource as _, Layout, LocalImage, Meter, Reference,
    manifest::Platform,
};
use serde::Deserialize;
use terminal::Setting;

use super::{MANIFESTS, SBOM, SBOM_TYPE};
use crate::{
    Changes, ClusterError, Staged, argocd,
    images::{self, OWN},
    pins, sbom, site,
};

/// The programs that a lab on kind is driven by, with the versions that it was made with.
const VERSIONS: &str = include_str!("../../../../nix/versions.json");
const PROGRAMS: [&str; 3] = ["kind", "kubectl", "kustomize"];

/// An entry of the table of versions.
#[derive(Deserialize)]
struct Version {
    lab: String,
}

/// Makes a bundle. What is made for it stays in the cache of this setting's state. Returns the digest of the bundle's list.
///
/// # Errors
/// When a manifest cannot be read, an image cannot be built or pulled, or the file cannot be written.
pub async fn create(
    setting: &Setting,
    target: &Path,
    platform: Option<Platform>,
    meter: &Meter,
) -> Result<Digest, ClusterError> {
    let manifests = setting.root.join("manifests");
    let cache = setting.state.join("cache");
    let installation = argocd::installation(&manifests, &cache).await?;
    let files = pins::read(&manifests)?;
    let remote: BTreeSet<Reference> = files
        .iter()
        .flat_map(|file| file.images().to_vec())
        .collect();
    if let Some(loose) = remote.iter().find(|image| image.digest().is_none()) {
        return Err(ClusterError::Unpinned {
            image: loose.to_string(),
            lacks: "digest",
        });
    }
    let own = images::build(setting, &cache.join("own")).await?;
    let mut local = Vec::new();
    for component in OWN {
        let name = format!("lab/{component}");
        let descriptor = own.image(&name)?;
        local.push(listed(&name, &own, descriptor));
    }
    let artifact = Staged::new(&manifests, &[], &Changes::default())?
        .with_installation(&installation)?
        .pack()?;
    let descriptor = artifact.add_to(&own)?;
    local.push(listed(MANIFESTS, &own, descriptor));
    let inputs = inputs(&remote, &local, platform.as_ref(), &manifests)?;
    let descriptor = Artifact::add_file(&own, SBOM_TYPE, &sbom::document(&inputs)?)?;
    local.push(listed(SBOM, &own, descriptor));
    let recipe = BundleRecipe {
        remote,
        local,
        platform,
    };
    let registry = site::client(setting.ca_file.as_deref(), None);
    Ok(Bundle::create(&registry, &recipe, target, meter).await?)
}

fn listed(name: &str, layout: &Layout, descriptor: oci::manifest::Descriptor) -> LocalImage {
    LocalImage {
        name: format!("{name}:{}", env!("CARGO_PKG_VERSION")),
        source: Arc::new(layout.clone()),
        descriptor,
    }
}

/// What the bill of materials lists besides crates.
fn inputs(
    remote: &BTreeSet<Reference>,
    local: &[LocalImage],
    platform: Option<&Platform>,
    manifests: &Path,
) -> Result<sbom::Inputs, ClusterError> {
    let architecture = platform.map(|platform| platform.architecture.as_str());
    let mut images = Vec::new();
    for image in remote {
        images.extend(
            image
                .digest()
                .map(|digest| sbom::Image::new(image, digest, architecture)),
        );
    }
    let host = Platform::host();
    for image in local.iter().filter(|image| image.name.starts_with("lab/")) {
        let name: Reference = image.name.parse()?;
        let digest = image.descriptor.digest;
        images.push(sbom::Image {
            // Nowhere until a lab has pushed it.
            repository: None,
            ..sbom::Image::new(&name, digest, Some(&host.architecture))
        });
    }
    let versions: std::collections::BTreeMap<String, Version> = serde_json::from_str(VERSIONS)
        .map_err(|error| ClusterError::malformed("nix/versions.json", error))?;
    let programs = PROGRAMS.iter().filter_map(|name| {
        Some(sbom::Download {
            name: (*name).to_owned(),
            version: versions.get(*name)?.lab.clone(),
            url: None,
            sha256: None,
        })
    });
    Ok(sbom::Inputs {
        images,
        programs: programs.collect(),
        files: vec![installation(manifests)?],
    })
}

/// Argo CD's installation, as it is pinned.
fn installation(manifests: &Path) -> Result<sbom::Download, ClusterError> {
    #[derive(Deserialize)]
    struct Upstream {
        version: String,
        url: String,
        sha256: String,
    }
    let path = manifests.join("argocd/upstream.yaml");
    let text = fs::read_to_string(&path).map_err(LabError::file("read", &path))?;
    let upstream: Upstream = serde_yaml::from_str(&text)
        .map_err(|error| ClusterError::malformed(path.display().to_string(), error))?;
    Ok(sbom::Download {
        name: "argocd-install.yaml".to_owned(),
        version: upstream.version,
        url: Some(upstream.url),
        sha256: Some(format!("sha256:{}", upstream.sha256).parse()?),
    })
}
