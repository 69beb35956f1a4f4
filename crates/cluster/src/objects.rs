//! Server-side apply: objects in the order in which a cluster can take them, and none reported as changed that is not.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DynamicObject, Patch, PatchParams, ValidationDirective},
    core::{ApiResource, GroupVersionKind, TypeMeta},
    discovery::{self, Scope},
    runtime::{conditions, wait::await_condition},
};
use tokio::time::timeout;

use crate::ClusterError;

/// Under this name the lab owns the fields that it applies.
pub(crate) const FIELD_MANAGER: &str = "lab";

/// How long the API server may take to serve a kind that was just defined.
const ESTABLISHED: Duration = Duration::from_secs(30);

/// Which kinds the cluster serves, and how; remembered once asked.
#[derive(Default)]
pub(crate) struct Kinds(BTreeMap<(String, String), (ApiResource, Scope)>);

impl Kinds {
    /// The API for objects of this kind, in the namespace where the kind has namespaces.
    pub(crate) async fn api(
        &mut self,
        client: &Client,
        types: &TypeMeta,
        namespace: Option<&str>,
    ) -> Result<Api<DynamicObject>, ClusterError> {
        let (kind, scope) = self.kind(client, types).await?;
        Ok(match (scope, namespace) {
            (Scope::Namespaced, Some(namespace)) => {
                Api::namespaced_with(client.clone(), namespace, &kind)
            }
            (Scope::Namespaced, None) => Api::default_namespaced_with(client.clone(), &kind),
            (Scope::Cluster, _) => Api::all_with(client.clone(), &kind),
        })
    }

    async fn kind(
        &mut self,
        client: &Client,
        types: &TypeMeta,
    ) -> Result<(ApiResource, Scope), ClusterError> {
        let key = (types.api_version.clone(), types.kind.clone());
        if let Some(known) = self.0.get(&key) {
            return Ok(known.clone());
        }
        let gvk = GroupVersionKind::try_from(types)
            .map_err(|error| ClusterError::malformed(&types.kind, error))?;
        let (resource, capabilities) =
            discovery::pinned_kind(client, &gvk)
                .await
                .map_err(ClusterError::kubernetes(format!(
                    "say how {} of {} is served",
                    types.kind, types.api_version
                )))?;
        let known = (resource, capabilities.scope);
        self.0.insert(key, known.clone());
        Ok(known)
    }
}

/// Applies objects.
pub(crate) struct Applier {
    client: Client,
    kinds: Kinds,
}

impl Applier {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            kinds: Kinds::default(),
        }
    }

    /// Applies the objects: definitions first and waited for, then namespaces, then the rest in the order given.
    /// Returns how many of them differ from what was there.
    pub(crate) async fn apply(
        &mut self,
        mut objects: Vec<DynamicObject>,
    ) -> Result<usize, ClusterError> {
        objects.sort_by_key(rank);
        let mut changed = 0;
        for object in &objects {
            changed += usize::from(self.apply_one(object).await?);
            if rank(object) == 0 {
                self.established(&object.name_any()).await?;
            }
        }
        Ok(changed)
    }

    /// Applies one object; returns whether it differs from what was there.
    async fn apply_one(&mut self, object: &DynamicObject) -> Result<bool, ClusterError> {
        let api = self.api(object).await?;
        let name = object.name_any();
        let action = format!("apply {}", shown(object));
        let before = api
            .get_metadata_opt(&name)
            .await
            .map_err(ClusterError::kubernetes(&action))?
            .and_then(|object| object.resource_version());
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            force: true,
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::default()
        };
        let after = api
            .patch(&name, &parameters, &Patch::Apply(object))
            .await
            .map_err(ClusterError::kubernetes(&action))?
            .resource_version();
        Ok(before != after)
    }

    /// The API for objects like this one.
    pub(crate) async fn api(
        &mut self,
        object: &DynamicObject,
    ) -> Result<Api<DynamicObject>, ClusterError> {
        let types = object
            .types
            .as_ref()
            .ok_or_else(|| ClusterError::malformed("an object", "it has no kind"))?;
        let namespace = object.namespace();
        self.kinds
            .api(&self.client, types, namespace.as_deref())
            .await
    }

    async fn established(&self, name: &str) -> Result<(), ClusterError> {
        let definitions: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let established = await_condition(definitions, name, conditions::is_crd_established());
        match timeout(ESTABLISHED, established).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(ClusterError::GaveUp {
                what: format!("the watch for {name} ended"),
                waited: Duration::ZERO,
                why: error.to_string(),
            }),
            Err(_elapsed) => Err(ClusterError::GaveUp {
                what: format!("the API server does not serve {name}"),
                waited: ESTABLISHED,
                why: "its conditions say why: `kubectl describe crd`".to_owned(),
            }),
        }
    }
}

/// Definitions, then namespaces, then what lives in them.
fn rank(object: &DynamicObject) -> u8 {
    match object.types.as_ref().map(|types| types.kind.as_str()) {
        Some("CustomResourceDefinition") => 0,
        Some("Namespace") => 1,
        _ => 2,
    }
}

/// `Kind namespace/name`.
pub(crate) fn shown(object: &DynamicObject) -> String {
    let kind = object
        .types
        .as_ref()
        .map_or("object", |types| types.kind.as_str());
    match object.namespace() {
        Some(namespace) => format!("{kind} {namespace}/{}", object.name_any()),
        None => format!("{kind} {}", object.name_any()),
    }
}
