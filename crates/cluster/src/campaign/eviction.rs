//! Evictions: which pods of a node they are asked for, and what the API server's answer means.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;

use crate::ClusterError;

/// The annotation of a pod that a kubelet made from a file, and would make again.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What became of an eviction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The pod is on its way out, or gone.
    Accepted,
    /// A disruption budget has nothing left to give, or the pod was changed meanwhile: it may be asked again.
    NotNow(String),
}

/// What the API server's answer to the eviction of a pod means (Kubernetes, "API-initiated eviction").
///
/// # Errors
/// When asking again would not help.
pub(super) fn answer<T>(pod: &str, asked: kube::Result<T>) -> Result<Answer, ClusterError> {
    match asked {
        Ok(_) => Ok(Answer::Accepted),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Answer::Accepted),
        Err(kube::Error::Api(status)) if matches!(status.code, 409 | 429) => {
            Ok(Answer::NotNow(status.message.clone()))
        }
        Err(error) => Err(ClusterError::kubernetes(format!("evict {pod}"))(error)),
    }
}

/// Whether a drain asks a pod to leave: it is the lab's, it would go on, and it would not come back to the same node.
pub(super) fn is_evicted(pod: &Pod, namespaces: &BTreeSet<String>) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    let is_over = matches!(phase, Some("Succeeded" | "Failed"));
    let comes_back = pod.annotations().contains_key(MIRROR)
        || pod
            .owner_references()
            .iter()
            .any(|owner| owner.kind == "DaemonSet");
    let is_of_lab = pod
        .namespace()
        .is_some_and(|namespace| namespaces.contains(&namespace));
    is_of_lab && !is_over && !comes_back
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use serde_json::json;

    use super::*;

    fn refused(code: u16) -> kube::Result<()> {
        let status = Status::failure("the budget needs 2 healthy pods", "why").with_code(code);
        Err(kube::Error::Api(status.boxed()))
    }

    #[test]
    fn a_budget_is_waited_for_and_a_gone_pod_is_no_error() {
        assert_eq!(answer("a", Ok(())).unwrap(), Answer::Accepted);
        assert_eq!(answer("a", refused(404)).unwrap(), Answer::Accepted);
        for code in [409, 429] {
            let not_now = Answer::NotNow("the budget needs 2 healthy pods".to_owned());
            assert_eq!(answer("a", refused(code)).unwrap(), not_now);
        }
    }

    #[test]
    fn what_no_waiting_mends_is_an_error_that_names_the_pod() {
        // Two budgets for one pod are a mistake of the manifests, answered with 500.
        for code in [403, 500] {
            let error = answer("rabbitmq/rabbitmq-0", refused(code)).unwrap_err();
            assert!(
                error.to_string().contains("evict rabbitmq/rabbitmq-0"),
                "{error}"
            );
        }
    }

    type Change = fn(&mut serde_json::Value);

    fn pod(change: Change) -> Pod {
        let mut pod = json!({
            "metadata": { "name": "p", "namespace": "rabbitmq", "annotations": {}, "ownerReferences": [
                { "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "rabbitmq", "uid": "1" },
            ] },
            "status": { "phase": "Running" },
        });
        change(&mut pod);
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn the_labs_own_leave_and_all_others_stay() {
        let namespaces = BTreeSet::from(["rabbitmq".to_owned()]);
        let table: [(Change, bool); 6] = [
            (|_| (), true),
            (|pod| pod["status"]["phase"] = "Pending".into(), true),
            (|pod| pod["status"]["phase"] = "Succeeded".into(), false),
            (
                |pod| pod["metadata"]["namespace"] = "somebody".into(),
                false,
            ),
            (
                |pod| pod["metadata"]["ownerReferences"][0]["kind"] = "DaemonSet".into(),
                false,
            ),
            (
                |pod| pod["metadata"]["annotations"][MIRROR] = "x".into(),
                false,
            ),
        ];
        for (change, expected) in table {
            let pod = pod(change);
            assert_eq!(is_evicted(&pod, &namespaces), expected, "{pod:?}");
        }
    }
}
