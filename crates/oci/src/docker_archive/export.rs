//! An image as an archive that `docker load` and `podman load` take.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use serde::Serialize;
use tar::Builder;

use crate::{
    ImageSource, OciError,
    archive::file_header,
    manifest::{Descriptor, Manifest, parse, to_json},
};

/// An entry of `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SavedImage<'a> {
    config: String,
    repo_tags: [&'a str; 1],
    layers: Vec<String>,
}

/// Writes an image of one platform under a name with a tag. Layers stay compressed, which both programs see by their
/// first bytes; each blob is checked on the way.
///
/// # Errors
/// As [`ImageSource::reader`]; [`OciError::Malformed`] for an index; [`OciError::File`] where `out` cannot be written.
pub fn export(
    source: &dyn ImageSource,
    image: &Descriptor,
    name: &str,
    out: impl Write,
) -> Result<(), OciError> {
    let what = format!("the manifest {} of {}", image.digest, source.what());
    let manifest: Manifest = parse(&what, &source.read(image)?)?;
    let mut archive = Builder::new(out);
    let mut write = |member: &str, size: u64, content: &mut dyn io::Read| {
        let header = file_header(member, size).map_err(OciError::file("name", member))?;
        archive
            .append(&header, content)
            .map_err(|error| match error.downcast::<OciError>() {
                Ok(error) => error,
                Err(error) => OciError::file("write", format!("the archive of {name}"))(error),
            })
    };
    let saved = SavedImage {
        config: format!("{}.json", manifest.config.digest.hex()),
        repo_tags: [name],
        layers: manifest.layers.iter().map(member).collect(),
    };
    let mut written = BTreeSet::new();
    for layer in &manifest.layers {
        if written.insert(layer.digest) {
            let mut reader = source.reader(layer)?;
            write(&member(layer), layer.size, &mut reader)?;
        }
    }
    let mut config = source.reader(&manifest.config)?;
    write(&saved.config, manifest.config.size, &mut config)?;
    // Last, as both programs write it.
    let list = to_json(&[saved])?;
    write("manifest.json", list.len() as u64, &mut &list[..])?;
    archive
        .into_inner()
        .and_then(|mut out| out.flush())
        .map_err(OciError::file("write", format!("the archive of {name}")))
}

fn member(layer: &Descriptor) -> String {
    format!("{}/layer.tar", layer.digest.hex())
}
