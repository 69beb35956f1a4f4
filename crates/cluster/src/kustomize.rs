//! The manifests as kustomize renders them.

use std::{path::Path, time::Duration};

use kube::core::DynamicObject;
use serde::Deserialize as _;
use xshell::{Shell, cmd};

use crate::{ClusterError, run::run};

/// No directory of the lab takes longer than a second.
const BOUND: Duration = Duration::from_secs(60);

/// The objects of a directory.
///
/// # Errors
/// When kustomize is missing or refuses the directory, or renders something that is no object.
pub async fn build(directory: &Path) -> Result<Vec<DynamicObject>, ClusterError> {
    let shell = Shell::new().map_err(|error| ClusterError::malformed("this directory", error))?;
    let text = run(cmd!(shell, "kustomize build {directory}"), BOUND).await?;
    parse(&text, &format!("`kustomize build {}`", directory.display()))
}

/// The objects of a YAML stream.
fn parse(text: &str, what: &str) -> Result<Vec<DynamicObject>, ClusterError> {
    serde_yaml::Deserializer::from_str(text)
        .map(|document| {
            let object = DynamicObject::deserialize(document)
                .map_err(|error| ClusterError::malformed(what, error))?;
            match (&object.types, &object.metadata.name) {
                (Some(_), Some(_)) => Ok(object),
                _ => Err(ClusterError::malformed(what, "a document is no object")),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_object_by_object() {
        let text = "apiVersion: v1\nkind: Namespace\nmetadata: {name: one}\n---\n\
                    apiVersion: v1\nkind: Secret\nmetadata: {name: two}\ndata: {a: eA==}\n";
        let objects = parse(text, "it").unwrap();
        assert_eq!(objects.len(), 2);
        assert_eq!(objects[1].data["data"]["a"], "eA==");
    }

    #[test]
    fn what_is_no_object_is_named() {
        let error = parse("just: words\n", "it").unwrap_err();
        assert!(error.to_string().starts_with("it is malformed"), "{error}");
    }
}
