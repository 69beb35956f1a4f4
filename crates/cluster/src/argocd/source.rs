//! Where Argo CD reads the lab from, and the Secret that tells it how.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use kube::core::ObjectMeta;

/// A source of manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// `oci://HOST/REPOSITORY` or the URL of a Git repository.
    pub url: String,
    /// Whether an OCI registry speaks plain HTTP.
    pub plain_http: bool,
}

impl Source {
    /// The artifact of a registry as the cluster sees it.
    pub fn artifact(pulled_from: &str, plain_http: bool) -> Self {
        Self {
            url: format!("oci://{pulled_from}/manifests"),
            plain_http,
        }
    }

    /// A Git repository.
    pub fn git(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            plain_http: false,
        }
    }

    /// The Secret by which Argo CD knows it (declarative setup, `argocd.argoproj.io/secret-type: repository`).
    pub fn secret(&self) -> Secret {
        let is_artifact = self.url.starts_with("oci://");
        let mut data = BTreeMap::from([
            ("url".to_owned(), self.url.clone()),
            (
                "type".to_owned(),
                if is_artifact { "oci" } else { "git" }.to_owned(),
            ),
        ]);
        if self.plain_http {
            data.insert("insecureOCIForceHttp".to_owned(), "true".to_owned());
        }
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        Secret {
            metadata: ObjectMeta {
                name: Some("lab-source".to_owned()),
                labels: Some(BTreeMap::from([
                    label("app.kubernetes.io/part-of", "lab"),
                    label("argocd.argoproj.io/secret-type", "repository"),
                ])),
                ..ObjectMeta::default()
            },
            string_data: Some(data),
            ..Secret::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_without_tls_is_said_to_be_one() {
        let data = |source: Source| source.secret().string_data.unwrap();
        let artifact = data(Source::artifact("registry:5000", true));
        assert_eq!(artifact["url"], "oci://registry:5000/manifests");
        assert_eq!(artifact["type"], "oci");
        assert_eq!(artifact["insecureOCIForceHttp"], "true");
        let git = data(Source::git("https://example.org/lab.git"));
        assert_eq!(git["type"], "git");
        assert!(!git.contains_key("insecureOCIForceHttp"));
    }
}
