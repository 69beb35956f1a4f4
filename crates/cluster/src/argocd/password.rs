//! The password that Argo CD generated for its administrator.

use blueprint::Component;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::Api;

use crate::{ClusterError, Kube};

/// The password; `None` once somebody has changed it and removed the Secret, as Argo CD asks.
///
/// # Errors
/// When the API server does not answer.
pub async fn initial_password(kube: &Kube) -> Result<Option<String>, ClusterError> {
    let secrets: Api<Secret> = kube.beside(Component::Argocd);
    let secret = secrets
        .get_opt("argocd-initial-admin-secret")
        .await
        .map_err(ClusterError::kubernetes(
            "read the password of Argo CD's administrator",
        ))?;
    Ok(secret
        .and_then(|secret| secret.data?.remove("password"))
        .and_then(|ByteString(bytes)| String::from_utf8(bytes).ok()))
}
