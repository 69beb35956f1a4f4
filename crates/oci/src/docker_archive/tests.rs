use std::fs;

use tar::{Builder, Header};

use super::*;
use crate::Digest;

const LAYER_ONE: &[u8] = b"the first layer, which is no archive here";
const LAYER_TWO: &[u8] = b"the second layer";

enum Part<'a> {
    File(String, &'a [u8]),
    Link(String, &'a str),
}

/// Writes an archive of these parts and imports it.
fn imported(
    parts: &[Part],
    change: impl FnOnce(&mut Vec<u8>),
) -> (tempfile::TempDir, Layout, Result<Vec<NamedImage>, OciError>) {
    let mut tar = Builder::new(Vec::new());
    for part in parts {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        match part {
            Part::File(path, content) => {
                header.set_size(content.len() as u64);
                tar.append_data(&mut header, path, *content).unwrap();
            }
            Part::Link(path, target) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                tar.append_link(&mut header, path, target).unwrap();
            }
        }
    }
    let mut bytes = tar.into_inner().unwrap();
    change(&mut bytes);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("saved.tar");
    fs::write(&path, bytes).unwrap();
    let layout = Layout::create(&directory.path().join("layout")).unwrap();
    let images = import(&path, &layout);
    (directory, layout, images)
}

fn config(layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
    serde_json::to_vec(&serde_json::json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids },
    }))
    .unwrap()
}

/// The parts of an archive of the old form, in Docker's order: what names the layers comes last.
fn old_form<'a>(config: &'a [u8], manifest: &'a [u8]) -> Vec<Part<'a>> {
    vec![
        Part::File("one/layer.tar".to_owned(), LAYER_ONE),
        Part::File("two/layer.tar".to_owned(), LAYER_TWO),
        Part::Link("three/layer.tar".to_owned(), "../one/layer.tar"),
        Part::File("config.json".to_owned(), config),
        Part::File("manifest.json".to_owned(), manifest),
    ]
}

const OLD_MANIFEST: &[u8] = br#"[{"Config":"config.json","RepoTags":["lab/x:1","quay.io/lab/x:2"],
    "Layers":["one/layer.tar","two/layer.tar","three/layer.tar"]}]"#;

#[test]
fn the_old_form_is_read_with_its_links() {
    let config = config(&[LAYER_ONE, LAYER_TWO, LAYER_ONE]);
    let (_directory, layout, images) = imported(&old_form(&config, OLD_MANIFEST), |_| {});
    let names: Vec<_> = images
        .unwrap()
        .into_iter()
        .map(|image| image.name)
        .collect();
    assert_eq!(
        names,
        [
            Some("docker.io/lab/x:1".to_owned()),
            Some("quay.io/lab/x:2".to_owned())
        ]
    );
    layout.verify().unwrap();
    let image = layout.image("quay.io/lab/x:2").unwrap();
    let manifest: Manifest = parse("it", &layout.read(&image).unwrap()).unwrap();
    assert_eq!(layout.read(&manifest.config).unwrap(), config);
    let layers: Vec<_> = manifest.layers.iter().map(|layer| layer.digest).collect();
    let [one, two] = [LAYER_ONE, LAYER_TWO].map(Digest::of);
    assert_eq!(layers, [one, two, one]);
}

#[test]
fn the_oci_form_is_read_with_one_platform_of_its_index() {
    let config = config(&[LAYER_ONE]);
    let manifest = to_json(&Manifest::new(
        Descriptor::of(CONFIG, &config),
        vec![Descriptor::of(LAYER, LAYER_ONE)],
    ))
    .unwrap();
    let missing = Descriptor::of(MANIFEST, b"another platform");
    let index = to_json(&Index::new(vec![
        missing,
        Descriptor::of(MANIFEST, &manifest),
    ]))
    .unwrap();
    let mut named = Descriptor::of(crate::manifest::INDEX, &index);
    named
        .annotations
        .insert(CONTAINERD_NAME.to_owned(), "docker.io/lab/x:1".to_owned());
    named
        .annotations
        .insert(REF_NAME.to_owned(), "1".to_owned());
    let list = to_json(&Index::new(vec![named])).unwrap();
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::of(bytes).hex());
    let parts = [
        Part::File(blob(&config), &config),
        Part::File(blob(&manifest), &manifest),
        Part::File(blob(LAYER_ONE), LAYER_ONE),
        Part::File(blob(&index), &index),
        Part::File("index.json".to_owned(), &list),
        Part::File("manifest.json".to_owned(), b"[]"),
    ];
    let (_directory, layout, images) = imported(&parts, |_| {});
    images.unwrap();
    layout.verify().unwrap();
    let image = layout.image("docker.io/lab/x:1").unwrap();
    assert_eq!(image.digest, Digest::of(&index));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_compressed_archive_is_read_as_the_plain_one_and_leaves_nothing_behind() {
    let config = config(&[LAYER_ONE, LAYER_TWO, LAYER_ONE]);
    let parts = old_form(&config, OLD_MANIFEST);
    let (_plain, _, expected) = imported(&parts, |_| {});
    // In two members, as parallel compressors write it.
    let compress = |bytes: &mut Vec<u8>| {
        let (one, two) = bytes.split_at(700);
        *bytes = [gzip(one), gzip(two)].concat();
    };
    let (_directory, layout, images) = imported(&parts, compress);
    assert_eq!(images.unwrap(), expected.unwrap());
    layout.verify().unwrap();
    assert_eq!(fs::read_dir(layout.root()).unwrap().count(), 3);
}

#[test]
fn an_archive_with_a_fault_is_refused_with_the_reason() {
    let good = config(&[LAYER_ONE, LAYER_TWO, LAYER_ONE]);
    let other = config(&[LAYER_TWO, LAYER_TWO, LAYER_ONE]);
    let short = config(&[LAYER_ONE]);
    let lost: &[u8] = br#"[{"Config":"config.json","RepoTags":["x"],"Layers":["a/layer.tar"]}]"#;
    for (config, manifest, reason) in [
        (&other, OLD_MANIFEST, "has the digest"),
        (&short, OLD_MANIFEST, "names 1 layers, manifest.json 3"),
        (&short, lost, "it has no a/layer.tar"),
        (&good, b"[]", "no image with a name"),
        (&good, b"{", "manifest.json of"),
    ] {
        let (_directory, layout, images) = imported(&old_form(config, manifest), |_| {});
        let error = images.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
        assert_eq!(layout.images().unwrap(), []);
    }
    let parts = old_form(&good, OLD_MANIFEST);
    let (.., images) = imported(&parts, |bytes| bytes.truncate(520));
    let error = images.unwrap_err().to_string();
    assert!(error.contains("cut short within one/layer.tar"), "{error}");
    let (.., images) = imported(&parts, |bytes| bytes[..2].copy_from_slice(&GZIP));
    let error = images.unwrap_err().to_string();
    assert!(error.contains("its compression"), "{error}");
    let (.., images) = imported(&parts, |bytes| {
        *bytes = gzip(bytes);
        bytes.truncate(bytes.len() / 2);
    });
    let error = images.unwrap_err().to_string();
    assert!(error.contains("its compression"), "{error}");
    let (.., images) = imported(&[], |_| {});
    assert!(images.unwrap_err().to_string().contains("no manifest.json"));
}

#[test]
fn what_is_exported_is_imported_alike() {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(&directory.path().join("layout")).unwrap();
    let layer = layout.add(LAYER, LAYER_ONE).unwrap();
    let settings = layout
        .add(CONFIG, &config(&[LAYER_ONE, LAYER_ONE]))
        .unwrap();
    let manifest = to_json(&Manifest::new(settings, vec![layer.clone(), layer])).unwrap();
    let image = layout.add(MANIFEST, &manifest).unwrap();
    let path = directory.path().join("exported.tar");
    export(
        &layout,
        &image,
        "quay.io/lab/x:1",
        File::create(&path).unwrap(),
    )
    .unwrap();
    let other = Layout::create(&directory.path().join("other")).unwrap();
    let images = import(&path, &other).unwrap();
    assert_eq!(images[0].name.as_deref(), Some("quay.io/lab/x:1"));
    assert_eq!(images[0].descriptor.digest, image.digest);
    other.verify().unwrap();
}
