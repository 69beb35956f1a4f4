//! Network policies by the arrows that they allow: what is deleted to cut a link.

use std::collections::BTreeSet;

use blueprint::{Arrow, Component};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::{Api, ResourceExt as _, api::ListParams};

use crate::{ClusterError, Kube, argocd::TRACKING};

/// The annotation that names the arrows which a policy allows.
const ARROWS: &str = "lab/arrows";

/// A network policy and the Application that applies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) application: String,
}

/// The policies that allow `from` to connect to `to`, at both ends.
///
/// # Errors
/// When the API server does not answer, or no policy allows it.
pub(super) async fn between(
    kube: &Kube,
    from: Component,
    to: Component,
) -> Result<Vec<Policy>, ClusterError> {
    let arrows: BTreeSet<String> = Arrow::ALL
        .into_iter()
        .filter(|arrow| {
            let ends = [arrow.from().component(), arrow.to().component()];
            ends.contains(&Some(from)) && ends.contains(&Some(to))
        })
        .map(Arrow::id)
        .collect();
    let policies: Api<NetworkPolicy> = Api::all(kube.client.clone());
    let found: Vec<Policy> = policies
        .list(&ListParams::default())
        .await
        .map_err(ClusterError::kubernetes("list the network policies"))?
        .into_iter()
        .filter(|policy| {
            let allowed = policy.annotations().get(ARROWS);
            allowed.is_some_and(|allowed| allowed.split(',').any(|id| arrows.contains(id.trim())))
        })
        .filter_map(|policy| {
            let application = policy
                .annotations()
                .get(TRACKING)?
                .split(':')
                .next()?
                .to_owned();
            Some(Policy {
                namespace: policy.namespace()?,
                name: policy.name_any(),
                application,
            })
        })
        .collect();
    if found.is_empty() {
        let reason = format!("none allows {from} to connect to {to}");
        return Err(ClusterError::malformed("the network policies", reason));
    }
    Ok(found)
}
