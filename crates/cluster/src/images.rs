//! Images: those that the manifests name, and the two of the lab's own.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};

use anstream::eprintln;
use blueprint::Component;
use kube::core::DynamicObject;
use oci::{Layout, Reference, StaticBuild, image::Recipe, manifest::Platform};
use serde_json::Value;
use terminal::Setting;

use crate::{ClusterError, kustomize, run::run_command};

/// A build of the workload on a slow machine, its dependencies included.
const BUILD: Duration = Duration::from_secs(3600);

/// The components whose images are the lab's own.
pub const OWN: [Component; 2] = [Component::Producer, Component::Consumer];

/// Every image that objects name in their containers.
///
/// # Errors
/// When a reference is malformed.
pub fn named(objects: &[DynamicObject]) -> Result<BTreeSet<Reference>, ClusterError> {
    let mut found = BTreeSet::new();
    for object in objects {
        let spec = match &object.data["spec"]["jobTemplate"]["spec"] {
            Value::Null => &object.data["spec"],
            job => job,
        };
        let pod = &spec["template"]["spec"];
        for list in ["initContainers", "containers"] {
            for container in pod[list].as_array().into_iter().flatten() {
                if let Some(image) = container["image"].as_str() {
                    found.insert(image.parse::<Reference>()?);
                }
            }
        }
    }
    Ok(found)
}

/// Every image of the lab by the directory that names it, Argo CD's included; `manifests` holds its installation.
///
/// # Errors
/// When kustomize refuses a directory.
pub async fn by_directory(
    manifests: &Path,
) -> Result<Vec<(String, BTreeSet<Reference>)>, ClusterError> {
    let mut found = Vec::new();
    for component in Component::ALL {
        let objects = kustomize::build(&manifests.join(component.name())).await?;
        found.push((component.name().to_owned(), named(&objects)?));
    }
    Ok(found)
}

/// Builds the lab's own images into an OCI layout and returns it. An installation has them beside it, built by Nix.
///
/// # Errors
/// When cargo fails, or the layout cannot be written.
pub async fn build(setting: &Setting, output: &Path) -> Result<Layout, ClusterError> {
    if !setting.is_workspace {
        return Ok(Layout::open(&setting.root.join("images"))?);
    }
    let programs = compile(&setting.root).await?;
    let layout = Layout::create(output)?;
    for component in OWN {
        let name = component.name();
        let recipe = Recipe {
            name: name.to_owned(),
            program: programs.program(name),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: None,
            source: None,
            platform: Platform::host(),
            environment: Default::default(),
        };
        let descriptor = oci::image::build(&layout, &recipe)?;
        layout.set_image(&format!("lab/{name}"), descriptor)?;
    }
    Ok(layout)
}

/// Builds the two programs without a dynamic loader, the same bytes in whatever directory; returns where they lie.
async fn compile(root: &Path) -> Result<StaticBuild, ClusterError> {
    let build = StaticBuild {
        workspace: root.to_owned(),
        cargo_home: cargo_home(),
        target_directory: root.join("target/static"),
        platform: Platform::host(),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let packages = OWN.map(Component::name);
    eprintln!("Building the lab's own images; the first time this takes minutes.");
    let shown = format!(
        "cargo build --release, static, of {}",
        packages.join(" and ")
    );
    run_command(build.command(&cargo, &packages), &shown, BUILD, "").await?;
    Ok(build)
}

/// Where cargo keeps the sources of dependencies (The Cargo Book, "Cargo Home").
fn cargo_home() -> PathBuf {
    let directory = |name: &str| std::env::var_os(name).map(PathBuf::from);
    directory("CARGO_HOME")
        .or_else(|| Some(directory("HOME")?.join(".cargo")))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> DynamicObject {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_container_counts_those_that_run_first_and_those_of_jobs_too() {
        let objects = [
            object(json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "a" },
                "spec": { "template": { "spec": {
                    "initContainers": [{ "image": "docker.io/a/first:1" }],
                    "containers": [{ "image": "docker.io/a/main:1" }],
                } } },
            })),
            object(
                json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "b" }, "spec": {} }),
            ),
        ];
        let named: Vec<_> = named(&objects)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(named, ["docker.io/a/first:1", "docker.io/a/main:1"]);
    }
}
