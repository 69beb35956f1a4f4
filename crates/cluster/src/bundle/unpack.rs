//! A lab's own manifests and images, out of a bundle.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use lab::{Lab, LabError};
use oci::{Artifact, Bundle, Layout};

use super::{KEPT, MANIFESTS, is_own, named, placed, relocation::relocate};
use crate::{ClusterError, images::OWN};

/// Holds the digest of the bundle that a lab's manifests came from, and the registry that they name.
const ORIGIN: &str = "origin";

/// Unpacks the manifests into the lab's directory, with their images at `registry`, and the lab's own images beside them.
/// Returns whether they were not there. Manifests of another bundle are kept beside them under another name.
///
/// # Errors
/// When the bundle lacks something, or the directory cannot be written.
pub(crate) fn unpack(bundle: &Bundle, lab: &Lab, registry: &str) -> Result<bool, ClusterError> {
    let kept = lab.directory().join(KEPT);
    let origin = format!("{}\n{registry}\n", bundle.digest());
    if fs::read_to_string(kept.join(ORIGIN)).is_ok_and(|found| found == origin) {
        return Ok(false);
    }
    let unfinished = lab.directory().join("bundle.unfinished");
    remove(&unfinished)?;
    Artifact::of(bundle, &named(bundle, MANIFESTS)?)?.unpack(&unfinished)?;
    let mut moved = BTreeMap::new();
    for image in placed(bundle, |name| !is_own(name))? {
        let to = image.below(registry)?.with_digest(image.image.digest);
        moved.insert(image.name, to);
    }
    relocate(&unfinished.join("manifests"), &moved)?;
    let layout = Layout::create(&unfinished.join("images"))?;
    for component in OWN {
        let name = format!("lab/{component}");
        layout.take(bundle, &named(bundle, &name)?, &name)?;
    }
    let path = unfinished.join(ORIGIN);
    fs::write(&path, origin).map_err(LabError::file("write", path))?;
    let previous = lab.directory().join("bundle.previous");
    if kept.exists() {
        remove(&previous)?;
        rename(&kept, &previous)?;
    }
    rename(&unfinished, &kept)?;
    Ok(true)
}

fn remove(directory: &PathBuf) -> Result<(), LabError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LabError::file("remove", directory)(error))
        }
        _ => Ok(()),
    }
}

fn rename(from: &Path, to: &Path) -> Result<(), LabError> {
    fs::rename(from, to).map_err(LabError::file("rename", from))
}
