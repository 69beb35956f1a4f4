//! `bundle`: the lab in one file.

use std::{collections::BTreeSet, io::Write as _, path::Path, sync::Arc};

use anstream::{eprintln, print, println};
use oci::{Bundle, ImageSource as _, Meter, manifest::Platform};
use serde::Serialize;
use terminal::{Setting, cli, failure::Exit, progress::Progress, table::Rows};

use crate::{ClusterError, bundle, site};

/// Runs the command.
///
/// # Errors
/// What cannot be built, pulled, read or pushed, by name. No bundle is left that is not whole.
pub async fn run(setting: &Setting, command: cli::Bundle) -> anyhow::Result<Exit> {
    match command {
        cli::Bundle::Create(arguments) => create(setting, arguments).await,
        cli::Bundle::Inspect(arguments) => inspect(arguments).await,
        cli::Bundle::Load(arguments) => load(setting, arguments).await,
    }
}

async fn create(setting: &Setting, arguments: cli::CreateBundle) -> anyhow::Result<Exit> {
    let platform = match &arguments.platform {
        _ if arguments.all_platforms => None,
        Some(platform) => Some(platform.parse::<Platform>().map_err(ClusterError::from)?),
        None => Some(Platform::host()),
    };
    let target = std::path::absolute(&arguments.output)?;
    let meter = Meter::default();
    let digest = metered(
        "bundle",
        &meter,
        bundle::create(setting, &target, platform, &meter),
    )
    .await?;
    println!("{digest}");
    let size = std::fs::metadata(&target)?.len();
    eprintln!("{}: {}", target.display(), mib(size));
    Ok(Exit::Holds)
}

/// What `inspect --json` prints.
#[derive(Serialize)]
struct Inspection<'a> {
    schema: u8,
    digest: String,
    platform: Option<&'a str>,
    bytes: u64,
    images: Vec<Inspected>,
}

#[derive(Serialize)]
struct Inspected {
    name: String,
    digest: String,
    /// Of its blobs; those that it shares with others count for each.
    bytes: u64,
}

async fn inspect(arguments: cli::InspectBundle) -> anyhow::Result<Exit> {
    let bundle = open(&arguments.file)?;
    if arguments.sbom {
        let mut out = std::io::stdout().lock();
        out.write_all(&bundle::sbom(&bundle)?)?;
        return Ok(Exit::Holds);
    }
    let meter = Meter::default();
    let check = {
        let (bundle, meter) = (Arc::clone(&bundle), meter.clone());
        tokio::task::spawn_blocking(move || bundle.verify_except(&BTreeSet::new(), &meter))
    };
    metered("checking", &meter, check)
        .await?
        .map_err(ClusterError::from)?;
    let mut images = Vec::new();
    for image in bundle.images().map_err(ClusterError::from)? {
        let parts = bundle
            .parts(&image.descriptor)
            .map_err(ClusterError::from)?;
        images.push(Inspected {
            name: image.name.unwrap_or_default(),
            digest: image.descriptor.digest.to_string(),
            bytes: parts.unique_blobs().map(|blob| blob.size).sum(),
        });
    }
    let inspection = Inspection {
        schema: 1,
        digest: bundle.digest().to_string(),
        platform: bundle.platform(),
        bytes: std::fs::metadata(bundle.path())?.len(),
        images,
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&inspection)?);
    } else {
        print!("{}", table(&inspection));
    }
    Ok(Exit::Holds)
}

fn table(inspection: &Inspection<'_>) -> String {
    let mut rows = Rows::new(["IMAGE", "SIZE"]);
    for image in &inspection.images {
        // An image of a registry has its digest in its name.
        let name = if image.name.contains('@') {
            image.name.clone()
        } else {
            format!("{}@{}", image.name, image.digest)
        };
        rows.add(None, [&name, &mib(image.bytes)]);
    }
    format!(
        "{}\n{} for {}, {}: every byte is as it was written\n",
        rows.text(),
        inspection.digest,
        inspection.platform.unwrap_or("all platforms"),
        mib(inspection.bytes),
    )
}

async fn load(setting: &Setting, arguments: cli::LoadBundle) -> anyhow::Result<Exit> {
    let bundle = open(&arguments.file)?;
    let to = arguments.to.trim_end_matches('/');
    let host = to.split('/').next().unwrap_or_default();
    let client = site::client(
        setting.ca_file.as_deref(),
        arguments.plain_http.then_some(host),
    );
    let mut images = Vec::new();
    for placed in bundle::placed(&bundle, |_| true)? {
        images.push((placed.image.clone(), placed.below(to)?));
    }
    let meter = Meter::default();
    let moved = metered("loading", &meter, bundle.load(&client, &images, &meter))
        .await
        .map_err(ClusterError::from)?;
    let mut rows = Rows::new(["IMAGE", "SENT"]);
    for ((_, place), moved) in images.iter().zip(&moved) {
        let sent = match moved.blobs {
            // All was there, or in another repository of the registry.
            0 => "nothing".to_owned(),
            _ => mib(moved.bytes),
        };
        rows.add(None, [&place.with_digest(moved.digest), &sent]);
    }
    print!("{}", rows.text());
    Ok(Exit::Holds)
}

fn open(path: &Path) -> Result<Arc<Bundle>, ClusterError> {
    Ok(Arc::new(Bundle::open(path)?))
}

/// Shows a transfer while it runs.
async fn metered<T>(name: &str, meter: &Meter, transfer: impl Future<Output = T>) -> T {
    let mut progress = Progress::default();
    let result = progress
        .transfer(name, || (meter.done(), meter.total()), transfer)
        .await;
    progress.drop_item(name);
    result
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
