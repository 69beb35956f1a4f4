use super::*;
use crate::manifest::{CONFIG, LAYER, MANIFEST, Manifest};

fn layout() -> (tempfile::TempDir, Layout) {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(directory.path()).unwrap();
    (directory, layout)
}

/// An image of one layer, listed as `name`.
fn add_image(layout: &Layout, name: &str, content: &[u8]) -> Descriptor {
    let layer = layout.add(LAYER, content).unwrap();
    let config = layout.add(CONFIG, b"{}").unwrap();
    let manifest = to_json(&Manifest::new(config, vec![layer])).unwrap();
    let manifest = layout.add(MANIFEST, &manifest).unwrap();
    layout.set_image(name, manifest.clone()).unwrap();
    manifest
}

fn damage(layout: &Layout, descriptor: &Descriptor, change: impl FnOnce(&mut Vec<u8>)) {
    let path = layout.blob(&descriptor.digest);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn images_are_found_by_name_and_replaced() {
    let (_directory, layout) = layout();
    add_image(&layout, "b", b"one");
    let a = add_image(&layout, "a", b"two");
    let b = add_image(&layout, "b", b"three");
    let again = Layout::open(layout.root()).unwrap();
    let names: Vec<_> = again.images().unwrap();
    let names: Vec<_> = names.iter().map(|image| image.name.as_deref()).collect();
    assert_eq!(names, [Some("a"), Some("b")]);
    assert_eq!(again.image("a").unwrap().digest, a.digest);
    assert_eq!(again.image("b").unwrap().digest, b.digest);
    again.verify().unwrap();
    let error = again.image("c").unwrap_err();
    assert_eq!(error.hint().unwrap(), "known are a, b");
}

#[test]
fn the_same_images_give_the_same_directory() {
    let list = |names: [&str; 2]| {
        let (_directory, layout) = layout();
        for name in names {
            add_image(&layout, name, name.as_bytes());
        }
        fs::read(layout.list()).unwrap()
    };
    assert_eq!(list(["a", "b"]), list(["b", "a"]));
}

#[test]
fn a_blob_that_was_changed_is_not_read() {
    let (_directory, layout) = layout();
    let blob = layout.add(LAYER, b"content").unwrap();
    damage(&layout, &blob, |bytes| bytes[0] ^= 1);
    let error = layout.read(&blob).unwrap_err();
    assert!(matches!(error, OciError::Mismatch { expected, .. } if expected == blob.digest));
    assert!(error.to_string().contains(&blob.digest.hex()));
}

#[test]
fn a_truncated_layout_is_refused() {
    let (_directory, layout) = layout();
    let image = add_image(&layout, "a", b"content");
    let manifest: Manifest = parse("it", &layout.read(&image).unwrap()).unwrap();
    damage(&layout, &manifest.layers[0], |bytes| bytes.truncate(3));
    let error = layout.verify().unwrap_err().to_string();
    assert!(error.contains("it has 3 bytes, expected 7"), "{error}");

    fs::remove_file(layout.blob(&manifest.layers[0].digest)).unwrap();
    assert!(matches!(
        layout.verify().unwrap_err(),
        OciError::File { .. }
    ));

    fs::write(layout.list(), &fs::read(layout.list()).unwrap()[..40]).unwrap();
    let error = Layout::open(layout.root()).unwrap_err().to_string();
    assert!(error.contains("index.json is malformed"), "{error}");

    fs::write(layout.marker(), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    let error = Layout::open(layout.root()).unwrap_err().to_string();
    assert!(error.contains("has version 2.0.0"), "{error}");

    fs::remove_file(layout.marker()).unwrap();
    assert!(matches!(
        Layout::open(layout.root()),
        Err(OciError::File { .. })
    ));
}

#[test]
fn an_unfinished_blob_is_gone_on_with() {
    let (_directory, layout) = layout();
    let wanted = Descriptor::of(LAYER, b"first, second");
    let mut writer = layout.writer(&wanted).unwrap().unwrap();
    writer.push(b"first, ").unwrap();
    assert!(matches!(layout.writer(&wanted), Err(OciError::Busy { .. })));
    let error = writer.finish("the blob").unwrap_err().to_string();
    assert_eq!(error, "the blob is malformed: it ends after 7 of 13 bytes");
    assert!(!layout.has(&wanted));

    let mut writer = layout.writer(&wanted).unwrap().unwrap();
    assert_eq!(writer.written(), 7);
    writer.push(b"second").unwrap();
    assert_eq!(writer.finish("the blob").unwrap().0, wanted.digest);
    assert!(layout.writer(&wanted).unwrap().is_none());
    assert_eq!(layout.read(&wanted).unwrap(), b"first, second");
}

#[test]
fn a_blob_that_turns_out_another_leaves_nothing() {
    let (directory, layout) = layout();
    let wanted = Descriptor::of(LAYER, b"good");
    for (content, reason) in [(&b"evil"[..], "expected"), (b"goody", "longer than")] {
        let mut writer = layout.writer(&wanted).unwrap().unwrap();
        assert_eq!(writer.written(), 0);
        writer.push(content).unwrap();
        let error = writer.finish("the blob").unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    drop(layout.new_blob().unwrap());
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["blobs", "index.json", "oci-layout"]);
}

#[test]
fn a_damaged_blob_is_written_anew() {
    let (_directory, layout) = layout();
    let blob = layout.add(LAYER, b"content").unwrap();
    damage(&layout, &blob, |bytes| bytes.truncate(2));
    let mut writer = layout.writer(&blob).unwrap().unwrap();
    writer.push(b"content").unwrap();
    writer.finish("the blob").unwrap();
    assert_eq!(layout.read(&blob).unwrap(), b"content");
}

#[test]
fn a_full_disk_is_told_as_such() {
    let error = OciError::file("write", "blob")(io::Error::from(io::ErrorKind::StorageFull));
    assert!(error.hint().unwrap().contains("free some disk space"));
}
