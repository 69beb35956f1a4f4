use std::{collections::BTreeMap, fs, sync::Arc};

use proptest::prelude::*;

use super::{unfinished::Unfinished, *};
use crate::{
    Layout, Registry, Settings,
    manifest::{CONFIG, INDEX, LAYER, LAYER_GZIP, MANIFEST, Manifest, to_json},
};

struct Fixture {
    _directory: tempfile::TempDir,
    layout: Layout,
    target: PathBuf,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            layout: Layout::create(&directory.path().join("layout")).unwrap(),
            target: directory.path().join("lab.tar.zst"),
            _directory: directory,
        }
    }

    fn image(&self, name: &str, layers: &[&[u8]]) -> LocalImage {
        let layers = layers.iter().enumerate().map(|(number, content)| {
            let media_type = if number % 2 == 0 { LAYER } else { LAYER_GZIP };
            self.layout.add(media_type, content).unwrap()
        });
        let layers = layers.collect();
        let config = self.layout.add(CONFIG, b"{}").unwrap();
        let manifest = to_json(&Manifest::new(config, layers)).unwrap();
        self.listed(name, self.layout.add(MANIFEST, &manifest).unwrap())
    }

    fn listed(&self, name: &str, descriptor: Descriptor) -> LocalImage {
        LocalImage {
            name: name.to_owned(),
            source: Arc::new(self.layout.clone()),
            descriptor,
        }
    }

    fn create(
        &self,
        local: Vec<LocalImage>,
        platform: Option<Platform>,
    ) -> Result<Digest, OciError> {
        let recipe = Recipe {
            remote: BTreeSet::new(),
            local,
            platform,
        };
        let registry = Registry::new(Settings::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(Bundle::create(
            &registry,
            &recipe,
            &self.target,
            &Meter::default(),
        ))
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(&self.target).unwrap()
    }
}

/// What a reader makes of a file.
fn verify(path: &Path) -> Result<(), OciError> {
    Bundle::open(path)?.verify_except(&BTreeSet::new(), &Meter::default())
}

/// Bytes without a pattern.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

#[test]
fn what_goes_in_comes_out() {
    let fixture = Fixture::new();
    let (shared, big) = (noise(1, 3000), noise(2, 700_000));
    let one = fixture.image("quay.io/a/one:1", &[&shared, &big]);
    let two = fixture.image(
        "quay.io/b/two:2",
        &[&shared, b"", b"text text text text text"],
    );
    let digest = fixture
        .create(vec![two.clone(), one.clone()], None)
        .unwrap();
    let bundle = Bundle::open(&fixture.target).unwrap();
    assert_eq!(bundle.digest(), digest);
    assert_eq!(bundle.platform(), None);
    let names: Vec<_> = bundle.images().unwrap();
    let names: Vec<_> = names.into_iter().filter_map(|image| image.name).collect();
    assert_eq!(names, ["quay.io/a/one:1", "quay.io/b/two:2"]);
    for image in [one, two] {
        let found = bundle.image(&image.name).unwrap();
        assert_eq!(found.digest, image.descriptor.digest);
        for blob in bundle.parts(&found).unwrap().unique_blobs() {
            let mut content = Vec::new();
            bundle
                .reader(blob)
                .unwrap()
                .read_to_end(&mut content)
                .unwrap();
            assert_eq!(Digest::of(&content), blob.digest);
        }
    }
    verify(&fixture.target).unwrap();
    let bytes = fixture.bytes();
    let shared = bytes.windows(500).filter(|found| *found == &shared[..500]);
    assert_eq!(shared.count(), 1);
}

#[test]
fn other_programs_see_a_layout_in_a_compressed_archive() {
    let fixture = Fixture::new();
    let image = fixture.image("quay.io/a/one:1", &[b"layer"]);
    fixture.create(vec![image], None).unwrap();
    let plain = zstd::stream::decode_all(&fixture.bytes()[..]).unwrap();
    let unpacked = tempfile::tempdir().unwrap();
    tar::Archive::new(&plain[..])
        .unpack(unpacked.path())
        .unwrap();
    let layout = Layout::open(unpacked.path()).unwrap();
    layout.verify().unwrap();
    layout.image("quay.io/a/one:1").unwrap();
}

#[test]
fn the_same_images_give_the_same_bytes() {
    let bytes = |turn: fn(Vec<LocalImage>) -> Vec<LocalImage>| {
        let fixture = Fixture::new();
        let images = vec![
            fixture.image("a", &[&noise(1, 5000), b"x"]),
            fixture.image("b", &[b"x", &noise(2, 5000)]),
        ];
        fixture.create(turn(images), None).unwrap();
        fixture.bytes()
    };
    let reversed = |mut images: Vec<LocalImage>| {
        images.reverse();
        images
    };
    assert_eq!(bytes(|images| images), bytes(reversed));
}

#[test]
fn the_bytes_are_those_of_every_machine() {
    // When this changes, the bundles that were made before are no longer made again byte by byte.
    let fixture = Fixture::new();
    let image = fixture.image("a", &[&noise(1, 5000), b"text text text text"]);
    fixture
        .create(vec![image], Some(Platform::linux("amd64")))
        .unwrap();
    assert_eq!(
        Digest::of(&fixture.bytes()).to_string(),
        "sha256:85bb46df7b33380bf8c696739a508893ffbf22056785d20c3c15118df5fb8706"
    );
}

#[test]
fn no_byte_can_be_changed() {
    let fixture = Fixture::new();
    let image = fixture.image("a", &[&noise(1, 700), b"text text text text"]);
    fixture.create(vec![image], None).unwrap();
    verify(&fixture.target).unwrap();
    let whole = fixture.bytes();
    let damaged = fixture.target.with_extension("damaged");
    for at in 0..whole.len() {
        // Each bit of a byte in turn: all of them take minutes.
        let bit = at % 8;
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        fs::write(&damaged, bytes).unwrap();
        let error = verify(&damaged).expect_err(&format!("bit {bit} of byte {at}"));
        let told = error.to_string();
        assert!(told.contains("lab.tar.damaged"), "byte {at}: {told}");
    }
}

#[test]
fn what_is_cut_short_or_goes_on_is_refused() {
    let fixture = Fixture::new();
    let image = fixture.image("a", &[&noise(1, 700)]);
    fixture.create(vec![image], None).unwrap();
    let whole = fixture.bytes();
    let damaged = fixture.target.with_extension("damaged");
    for length in 0..whole.len() {
        fs::write(&damaged, &whole[..length]).unwrap();
        let error = Bundle::open(&damaged).unwrap_err().to_string();
        assert!(error.contains("lab.tar.damaged"), "{length}: {error}");
    }
    for more in [&b"\0"[..], &whole] {
        fs::write(&damaged, [&whole, more].concat()).unwrap();
        Bundle::open(&damaged).unwrap_err();
    }
}

#[test]
fn a_blob_that_is_damaged_is_named_and_leaves_no_bundle() {
    let fixture = Fixture::new();
    let content = noise(1, 700);
    let image = fixture.image("a", &[&content]);
    let digest = Digest::of(&content);
    let path = fixture
        .layout
        .root()
        .join("blobs/sha256")
        .join(digest.hex());
    let mut bytes = content;
    bytes[3] ^= 1;
    fs::write(path, bytes).unwrap();
    let error = fixture.create(vec![image], None).unwrap_err();
    assert!(
        matches!(error, OciError::Mismatch { expected, .. } if expected == digest),
        "{error}"
    );
    assert!(!fixture.target.exists());
}

#[test]
fn of_an_index_the_platforms_that_are_there_count() {
    let fixture = Fixture::new();
    let entry = |architecture: &str, is_there: bool| {
        let content = noise(architecture.len() as u64, 300);
        let mut manifest = if is_there {
            fixture.image("", &[&content]).descriptor
        } else {
            Descriptor::of(MANIFEST, architecture.as_bytes())
        };
        manifest.platform = Some(Platform::linux(architecture));
        manifest
    };
    let (amd64, arm64) = (entry("amd64", true), entry("riscv64", false));
    let index = to_json(&Index::new(vec![amd64.clone(), arm64])).unwrap();
    let index = fixture.listed("a", fixture.layout.add(INDEX, &index).unwrap());
    let platform = Some(Platform::linux("amd64"));
    fixture.create(vec![index.clone()], platform).unwrap();
    verify(&fixture.target).unwrap();
    let bundle = Bundle::open(&fixture.target).unwrap();
    assert_eq!(bundle.platform(), Some("linux/amd64"));
    let images = bundle.images().unwrap();
    assert_eq!(images[0].descriptor.digest, index.descriptor.digest);
    assert_eq!(bundle.loaded(&images[0]).unwrap().digest, amd64.digest);
}

#[test]
fn a_bundle_has_one_writer() {
    let fixture = Fixture::new();
    let first = Unfinished::open(&fixture.target, 0).unwrap();
    let error = fixture.create(Vec::new(), None).unwrap_err();
    assert!(matches!(error, OciError::Busy { .. }), "{error}");
    drop(first);
    fixture.create(Vec::new(), None).unwrap();
    Bundle::open(&fixture.target).unwrap();
}

#[test]
fn what_cannot_be_a_bundle_s_file_is_told_with_what_to_do() {
    let mut fixture = Fixture::new();
    let directory = fixture.layout.root().join("missing");
    fixture.target = directory.join("lab.tar.zst");
    let error = fixture.create(Vec::new(), None).unwrap_err();
    assert!(error.to_string().starts_with("cannot create"), "{error}");
    let hint = format!(
        "make its directory first: `mkdir -p {}`",
        directory.display()
    );
    assert_eq!(error.hint().unwrap(), hint);

    fs::create_dir_all(&fixture.target).unwrap();
    let error = fixture.create(Vec::new(), None).unwrap_err();
    let is_directory = |source: &std::io::Error| source.kind() == std::io::ErrorKind::IsADirectory;
    assert!(
        matches!(&error, OciError::File { source, .. } if is_directory(source)),
        "{error:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_layers_come_out_as_they_went_in(
        contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 1..5),
    ) {
        let fixture = Fixture::new();
        let layers: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        let image = fixture.image("a", &layers);
        fixture.create(vec![image], None).unwrap();
        let bundle = Bundle::open(&fixture.target).unwrap();
        let parts = bundle.parts(&bundle.image("a").unwrap()).unwrap();
        let mut found = BTreeMap::new();
        for blob in parts.unique_blobs() {
            let mut content = Vec::new();
            bundle.reader(blob).unwrap().read_to_end(&mut content).unwrap();
            found.insert(blob.digest, content);
        }
        for content in contents {
            prop_assert_eq!(&found[&Digest::of(&content)], &content);
        }
    }

    #[test]
    fn no_file_breaks_the_reader(bytes: Vec<u8>, frames in proptest::collection::vec(any::<[u8; 3]>(), 0..4)) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        fs::write(&path, &bytes).unwrap();
        prop_assert!(Bundle::open(&path).is_err());
        // Well-formed frames with a true table, but nothing of a bundle in them.
        let mut table = zeekstd::SeekTable::new();
        let mut file = Vec::new();
        for content in frames {
            let frame = zstd::stream::encode_all(&content.repeat(300)[..], 1).unwrap();
            table.log_frame(u32::try_from(frame.len()).unwrap(), 900).unwrap();
            file.extend(frame);
        }
        let mut table = table.into_serializer();
        let mut bytes = vec![0; table.encoded_len()];
        table.write_into(&mut bytes);
        file.extend(bytes);
        fs::write(&path, &file).unwrap();
        prop_assert!(Bundle::open(&path).is_err());
    }
}
