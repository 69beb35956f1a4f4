use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
};

use flate2::read::GzDecoder;
use tar::Archive;

use super::*;
use crate::ImageSource as _;
use crate::manifest::parse;

/// The headers of an ELF program for this machine, with one program header of this kind.
fn program(machine: u16, header: u32) -> Vec<u8> {
    let mut bytes = vec![0; 64 + 56];
    bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes[32] = 64;
    bytes[54] = 56;
    bytes[56] = 1;
    bytes[64..68].copy_from_slice(&header.to_le_bytes());
    bytes
}

fn recipe(directory: &Path, program: &[u8]) -> Recipe {
    let path = directory.join("program");
    fs::write(&path, program).unwrap();
    Recipe {
        name: "producer".to_owned(),
        program: path,
        version: "0.1.0".to_owned(),
        revision: Some("abc".to_owned()),
        source: None,
        platform: Platform::linux("amd64"),
        environment: BTreeMap::from([("RUST_LOG".to_owned(), "info".to_owned())]),
    }
}

fn built(program: &[u8]) -> (tempfile::TempDir, Layout, Result<Descriptor, OciError>) {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::create(&directory.path().join("layout")).unwrap();
    let recipe = recipe(directory.path(), program);
    let image = build(&layout, &recipe);
    (directory, layout, image)
}

#[test]
fn the_same_program_gives_the_same_image() {
    let (_one, _, image) = built(&program(62, 1));
    let image = image.unwrap();
    let (other, layout, _) = built(&program(62, 1));
    // Whatever the build left as its mode and time.
    let again = recipe(other.path(), &program(62, 1));
    fs::set_permissions(&again.program, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(build(&layout, &again).unwrap(), image);
    // When this changes, both images of the lab get other digests.
    assert_eq!(
        image.digest.to_string(),
        "sha256:2412255aa5441464b090c6c9a1293e2e143c4c3a4110371200ec4ac558e8e15e"
    );
}

#[test]
fn the_root_has_what_the_program_needs_and_belongs_to_root() {
    let (_directory, layout, image) = built(&program(62, 1));
    let manifest: Manifest = parse("it", &layout.read(&image.unwrap()).unwrap()).unwrap();
    let layer = layout.reader(&manifest.layers[0]).unwrap();
    let mut archive = Archive::new(GzDecoder::new(layer));
    let entries: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
            assert_eq!(header.mtime().unwrap(), 0);
            let path = entry.path().unwrap().display().to_string();
            format!("{:o} {path}", header.mode().unwrap())
        })
        .collect();
    assert_eq!(
        entries,
        [
            "755 etc/",
            "644 etc/group",
            "644 etc/nsswitch.conf",
            "644 etc/passwd",
            "1777 tmp/",
            "755 usr/",
            "755 usr/bin/",
            "755 usr/bin/producer",
        ]
    );
}

#[test]
fn the_configuration_says_how_it_runs() {
    let (_directory, layout, image) = built(&program(62, 1));
    let image = image.unwrap();
    let manifest: Manifest = parse("it", &layout.read(&image).unwrap()).unwrap();
    let config: serde_json::Value = parse("it", &layout.read(&manifest.config).unwrap()).unwrap();
    let mut plain = Vec::new();
    let layer = layout.reader(&manifest.layers[0]).unwrap();
    io::Read::read_to_end(&mut GzDecoder::new(layer), &mut plain).unwrap();
    assert_eq!(
        config,
        serde_json::json!({
            "created": "1970-01-01T00:00:00Z",
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "User": "65532:65532",
                "Env": ["PATH=/usr/bin", "RUST_LOG=info"],
                "Entrypoint": ["/usr/bin/producer"],
                "WorkingDir": "/",
                "Labels": {
                    "org.opencontainers.image.revision": "abc",
                    "org.opencontainers.image.title": "producer",
                    "org.opencontainers.image.version": "0.1.0",
                },
            },
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(&plain)] },
            "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "producer 0.1.0" }],
        })
    );
    layout.set_image("lab/producer:0.1.0", image).unwrap();
    layout.verify().unwrap();
}

#[test]
fn a_program_that_could_not_start_is_refused() {
    for (program, reason) in [
        (program(62, 3), "linked dynamically"),
        (
            program(183, 1),
            "for the ELF machine 183, linux/amd64 is 62",
        ),
        (program(62, 1)[..40].to_vec(), "cut short"),
        (b"#!/bin/sh\n".to_vec(), "no 64-bit ELF program"),
    ] {
        let (.., image) = built(&program);
        let error = image.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    // The test itself is a program of this machine, and rustc links it dynamically by default.
    let own = std::env::current_exe().unwrap();
    let error = check_program(&own, &Platform::host()).unwrap_err();
    assert!(error.to_string().contains("linked dynamically"), "{error}");
}
