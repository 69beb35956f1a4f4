//! `images pin`: the digests that the pinned tags stand for today.

use std::collections::{BTreeMap, BTreeSet};

use anstream::{eprintln, print};
use anstyle::AnsiColor;
use futures_util::{StreamExt as _, stream};
use oci::{Digest, OciError, Reference, Registry};
use terminal::{
    Setting, cli,
    failure::{self, Exit, Failure},
    progress::Progress,
    table::Rows,
};

use crate::{
    ClusterError,
    pins::{self, PinningFile},
    site,
};

/// How many registries are asked at a time.
const AT_A_TIME: usize = 8;

/// As much of a digest as a person compares.
const SHORT: usize = "sha256:".len() + 12;

/// An image as the manifests pin it, and the digest that its tag stands for.
type Answer = (Reference, Result<Digest, ClusterError>);

/// Runs the command.
///
/// # Errors
/// When a manifest cannot be read or written, or an image cannot be resolved; nothing is written then.
pub async fn run(setting: &Setting, arguments: cli::PinImages) -> anyhow::Result<Exit> {
    let files = pins::read(&setting.root.join("manifests"))?;
    let images = files.iter().flat_map(PinningFile::images).cloned();
    let registry = site::client(setting.ca_file.as_deref(), None);
    let answers = ask(registry, images.collect()).await;
    let all = answers.len();
    let mut digests = BTreeMap::new();
    // By what is said: a registry that is not there is so for all of its images.
    let mut errors = BTreeMap::new();
    let mut rows = Rows::new(["IMAGE", "PINNED", "NOW", "STATE"]);
    for (image, answer) in answers {
        let (state, color) = state(&image, &answer);
        let name = image.by_tag().unwrap_or_else(|| image.clone());
        let now = answer.as_ref().ok().copied();
        rows.add(color, [&name, &short(image.digest()), &short(now), &state]);
        match answer {
            Ok(digest) => {
                digests.insert(image, digest);
            }
            Err(error) => {
                let error = anyhow::Error::new(error);
                let (_, names) = errors
                    .entry(format!("{error:#}"))
                    .or_insert((error, Vec::new()));
                names.push(name.to_string());
            }
        }
    }
    print!("{}", rows.text());
    for (error, names) in errors.into_values() {
        failure::report(&error.context(names.join(", ")), explain);
    }
    let failed = all - digests.len();
    if failed > 0 {
        let nothing = if arguments.write {
            "; nothing is written"
        } else {
            ""
        };
        let what = format!("{failed} of {all} images have no digest{nothing}");
        return Err(Failure::new(Exit::Unexpected, what).into());
    }
    let changed = digests
        .iter()
        .filter(|(image, now)| image.digest() != Some(**now));
    let changed = changed.count();
    if arguments.write {
        let written = pins::write(&files, &digests)?;
        eprintln!("{changed} of {} images changed, in {written} files.", all);
    } else {
        eprintln!("{changed} of {} images would change.", all);
        if changed > 0 {
            eprintln!("`cargo xtask images pin --write` writes the digests into the manifests.");
        }
    }
    Ok(Exit::Holds)
}

/// Asks every image's registry. One that fails keeps nobody else from an answer.
async fn ask(registry: Registry, images: BTreeSet<Reference>) -> Vec<Answer> {
    let registry = &registry;
    let mut progress = Progress::default();
    progress.begin("asking the registries");
    let answers = stream::iter(images)
        .map(async |image| {
            let answer = resolve(registry, &image).await;
            (image, answer)
        })
        .buffered(AT_A_TIME)
        .collect()
        .await;
    progress.drop_item("asking the registries");
    answers
}

async fn resolve(registry: &Registry, image: &Reference) -> Result<Digest, ClusterError> {
    let unpinned = |lacks| ClusterError::Unpinned {
        image: image.to_string(),
        lacks,
    };
    let by_tag = image.by_tag().ok_or_else(|| unpinned("tag"))?;
    if image.digest().is_none() {
        return Err(unpinned("digest"));
    }
    Ok(registry.resolve(&by_tag).await?)
}

fn state(image: &Reference, answer: &Result<Digest, ClusterError>) -> (String, Option<AnsiColor>) {
    let error = match answer {
        Ok(now) if image.digest() == Some(*now) => return ("unchanged".to_owned(), None),
        Ok(_) => return ("moved".to_owned(), Some(AnsiColor::Yellow)),
        Err(error) => error,
    };
    let state = match error {
        ClusterError::Unpinned { lacks, .. } => format!("no {lacks}"),
        ClusterError::Registry(error) => match error {
            OciError::NotFound { .. } => "gone",
            OciError::Unreachable { .. } | OciError::Tls { .. } => "unreachable",
            OciError::Denied { .. } => "denied",
            OciError::Throttled { .. } => "throttled",
            _ => "failed",
        }
        .to_owned(),
        _ => "failed".to_owned(),
    };
    (state, Some(AnsiColor::Red))
}

fn short(digest: Option<Digest>) -> String {
    match digest {
        Some(digest) => digest.to_string()[..SHORT].to_owned(),
        None => "-".to_owned(),
    }
}

/// The hint of an image's error; the command's own exit code says that there were some.
fn explain(cause: &(dyn std::error::Error + 'static)) -> Option<(Exit, Option<String>)> {
    let error = cause.downcast_ref::<ClusterError>()?;
    Some((Exit::Unexpected, error.hint()))
}
