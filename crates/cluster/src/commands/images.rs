//! `images`: what the lab runs, and its own two.

use anstream::{eprintln, print, println};
use oci::ImageSource as _;
use terminal::{Setting, cli, failure::Exit, table::Rows};

use super::pin;
use crate::{Changes, Staged, argocd, images};

/// Runs the command.
///
/// # Errors
/// When kustomize refuses a directory, Argo CD's installation cannot be fetched, cargo fails, or an image cannot be
/// resolved.
pub async fn run(setting: &Setting, command: cli::Images) -> anyhow::Result<Exit> {
    match command {
        cli::Images::List => list(setting).await,
        cli::Images::Build(arguments) => build(setting, arguments).await,
        cli::Images::Pin(arguments) => pin::run(setting, arguments).await,
    }
}

async fn list(setting: &Setting) -> anyhow::Result<Exit> {
    let manifests = setting.root.join("manifests");
    let installation = argocd::installation(&manifests, &setting.state.join("cache")).await?;
    let staged =
        Staged::new(&manifests, &[], &Changes::default())?.with_installation(&installation)?;
    let mut rows = Rows::new(["COMPONENT", "IMAGE"]);
    for (directory, images) in images::by_directory(&staged.manifests()).await? {
        for image in images {
            rows.add(None, [&directory, &image]);
        }
    }
    print!("{}", rows.text());
    Ok(Exit::Holds)
}

async fn build(setting: &Setting, arguments: cli::BuildImages) -> anyhow::Result<Exit> {
    let output = if arguments.output.is_absolute() {
        arguments.output
    } else {
        std::env::current_dir()?.join(arguments.output)
    };
    let layout = images::build(setting, &output).await?;
    for component in images::OWN {
        let name = format!("lab/{component}");
        println!("{name}@{}", layout.image(&name)?.digest);
    }
    eprintln!("OCI layout: {}", layout.root().display());
    Ok(Exit::Holds)
}
