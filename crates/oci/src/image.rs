//! An image of one static program, without a container engine.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    Digest, Layout, OciError,
    archive::ArchiveWriter,
    manifest::{CONFIG, Descriptor, LAYER_GZIP, MANIFEST, Manifest, Platform, to_json},
};

/// The user and group that the program runs as; the number that distroless images call `nonroot`.
pub const NONROOT: u32 = 65532;

/// Every date in an image, so that the day of its making is not in its digest.
const EPOCH: &str = "1970-01-01T00:00:00Z";

const PASSWD: &str =
    "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";

/// What glibc resolves names by when there is no such file differs by its version.
const NSSWITCH: &str = "hosts: files dns\n";

/// What goes into an image.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The program's name below `/usr/bin` and the image's title.
    pub name: String,
    /// The static program.
    pub program: PathBuf,
    /// The label `org.opencontainers.image.version`.
    pub version: String,
    /// The label `org.opencontainers.image.revision`: the commit.
    pub revision: Option<String>,
    /// The label `org.opencontainers.image.source`: the repository's address.
    pub source: Option<String>,
    /// What the program runs on.
    pub platform: Platform,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
}

/// Builds the image into the layout, without listing it. The same recipe and program give the same digest.
///
/// The root has `/usr/bin/<name>`, `/etc/passwd` and `/etc/group` with root and nonroot, `/etc/nsswitch.conf`, and
/// `/tmp` for everyone; all of it belongs to root. The program is the entry point, run as [`NONROOT`].
///
/// # Errors
/// [`OciError::Malformed`] where the program needs a dynamic loader, which the image does not have, or is none for the
/// platform; [`OciError::File`].
pub fn build(layout: &Layout, recipe: &Recipe) -> Result<Descriptor, OciError> {
    check_program(&recipe.program, &recipe.platform)?;
    let (layer, diff_id) = pack_root(layout, recipe)?;
    let config = to_json(&Config::new(recipe, diff_id))?;
    let config = layout.add(CONFIG, &config)?;
    let manifest = to_json(&Manifest::new(config, vec![layer]))?;
    let mut manifest = layout.add(MANIFEST, &manifest)?;
    manifest.platform = Some(recipe.platform.clone());
    Ok(manifest)
}

/// Packs the only layer. Returns it with its diff ID.
fn pack_root(layout: &Layout, recipe: &Recipe) -> Result<(Descriptor, Digest), OciError> {
    let path = &recipe.program;
    let program = File::open(path).map_err(OciError::file("read", path))?;
    let size = program
        .metadata()
        .map_err(OciError::file("read", path))?
        .len();
    let mut archive = ArchiveWriter::new(layout.new_blob()?);
    let mut fill = || -> io::Result<()> {
        let text = |text: &'static str| (text.len() as u64, text.as_bytes());
        archive.directory(Path::new("etc"), 0o755)?;
        for (path, (size, content)) in [
            ("etc/group", text(GROUP)),
            ("etc/nsswitch.conf", text(NSSWITCH)),
            ("etc/passwd", text(PASSWD)),
        ] {
            archive.file(Path::new(path), 0o644, size, content)?;
        }
        archive.directory(Path::new("tmp"), 0o1777)?;
        archive.directory(Path::new("usr"), 0o755)?;
        archive.directory(Path::new("usr/bin"), 0o755)?;
        let target = Path::new("usr/bin").join(&recipe.name);
        archive.file(&target, 0o755, size, &program)
    };
    fill().map_err(OciError::file("pack", path))?;
    let (writer, diff_id) = archive.finish().map_err(OciError::file("pack", path))?;
    let (digest, size) = writer.finish("the layer")?;
    Ok((Descriptor::new(LAYER_GZIP, digest, size), diff_id))
}

/// The image's configuration (OCI image specification, "Image Configuration").
#[derive(Debug, Serialize)]
struct Config {
    created: &'static str,
    architecture: String,
    os: String,
    config: Execution,
    rootfs: RootFs,
    history: [History; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Execution {
    user: String,
    env: Vec<String>,
    entrypoint: [String; 1],
    working_dir: &'static str,
    labels: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: [Digest; 1],
}

#[derive(Debug, Serialize)]
struct History {
    created: &'static str,
    created_by: String,
}

impl Config {
    fn new(recipe: &Recipe, diff_id: Digest) -> Self {
        let mut labels = BTreeMap::from([
            ("org.opencontainers.image.title", recipe.name.clone()),
            ("org.opencontainers.image.version", recipe.version.clone()),
        ]);
        for (key, value) in [
            ("org.opencontainers.image.revision", &recipe.revision),
            ("org.opencontainers.image.source", &recipe.source),
        ] {
            if let Some(value) = value {
                labels.insert(key, value.clone());
            }
        }
        let path = ("PATH".to_owned(), "/usr/bin".to_owned());
        let env = [path].into_iter().chain(recipe.environment.clone());
        Self {
            created: EPOCH,
            architecture: recipe.platform.architecture.clone(),
            os: recipe.platform.os.clone(),
            config: Execution {
                user: format!("{NONROOT}:{NONROOT}"),
                env: env.map(|(key, value)| format!("{key}={value}")).collect(),
                entrypoint: [format!("/usr/bin/{}", recipe.name)],
                working_dir: "/",
                labels,
            },
            rootfs: RootFs {
                kind: "layers",
                diff_ids: [diff_id],
            },
            history: [History {
                created: EPOCH,
                created_by: format!("{} {}", recipe.name, recipe.version),
            }],
        }
    }
}

/// Refuses a program that could not start in the image: its ELF header (System V ABI, "Object Files") must be of the
/// platform's machine, and there must be no program header that names a loader.
fn check_program(path: &Path, platform: &Platform) -> Result<(), OciError> {
    const PT_INTERP: u32 = 3;
    let bytes = head(path)?;
    let malformed = |reason: String| OciError::malformed(path.display().to_string(), reason);
    let number = |at: usize, size: usize| -> Result<usize, OciError> {
        let field = bytes
            .get(at..at.saturating_add(size))
            .ok_or_else(|| malformed("its ELF header is cut short".to_owned()))?;
        let little_endian = field.iter().rev();
        Ok(little_endian.fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    // 64 bits and little-endian, as both platforms are.
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return Err(malformed("it is no 64-bit ELF program".to_owned()));
    }
    let machine = number(18, 2)?;
    let expected = match platform.architecture.as_str() {
        "amd64" => 62,
        "arm64" => 183,
        other => return Err(malformed(format!("no image is built for {other}"))),
    };
    if machine != expected {
        return Err(malformed(format!(
            "it is for the ELF machine {machine}, {platform} is {expected}"
        )));
    }
    let (table, entry_size, entries) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for entry in 0..entries {
        let kind = number(table.saturating_add(entry * entry_size), 4)?;
        if kind == PT_INTERP as usize {
            return Err(malformed(
                "it is linked dynamically, and the image has no loader; link it statically"
                    .to_owned(),
            ));
        }
    }
    Ok(())
}

/// The first bytes of a program: its headers.
fn head(path: &Path) -> Result<Vec<u8>, OciError> {
    use io::Read as _;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(64 << 10).read_to_end(&mut bytes))
        .map_err(OciError::file("read", path))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
