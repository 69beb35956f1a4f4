//! Why a component is not ready: the pod that is not, its last words, and the probable cause.

use k8s_openapi::{
    api::core::v1::{ContainerStatus, Event, Pod},
    jiff::Timestamp,
};
use kube::{Api, ResourceExt as _, api::ListParams};

use crate::{ClusterError, Kube};

/// The reason why pods that `selector` selects are not ready; `None` when they are, or nothing says why.
///
/// # Errors
/// When the API server does not answer.
pub(crate) async fn of_pods(
    kube: &Kube,
    namespace: &str,
    selector: Option<&str>,
) -> Result<Option<String>, ClusterError> {
    let pods: Api<Pod> = Api::namespaced(kube.client.clone(), namespace);
    let mut parameters = ListParams::default();
    if let Some(selector) = selector {
        parameters = parameters.labels(selector);
    }
    let pods = pods
        .list(&parameters)
        .await
        .map_err(ClusterError::kubernetes(format!(
            "list the pods of {namespace}"
        )))?;
    let Some((pod, trouble)) = pods.iter().find_map(|pod| Some((pod, trouble(pod)?))) else {
        return Ok(None);
    };
    let name = pod.name_any();
    let event = match last_warning(kube, namespace, &name).await? {
        Some(event) if !trouble.contains(event.as_str()) => format!("; {event}"),
        _ => String::new(),
    };
    Ok(Some(format!("pod {namespace}/{name} {trouble}{event}")))
}

/// What is wrong with a pod, by its own status.
fn trouble(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let is = |kind: &str, value: &str| {
        conditions
            .iter()
            .find(|condition| condition.type_ == kind && condition.status == value)
    };
    if is("Ready", "True").is_some() || status.phase.as_deref() == Some("Succeeded") {
        return None;
    }
    if let Some(condition) = is("PodScheduled", "False") {
        let why = condition.message.as_deref().unwrap_or("no node takes it");
        return Some(format!("is not scheduled: {why}"));
    }
    let containers = status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses)
        .flatten();
    containers
        .filter(|container| !container.ready)
        .find_map(container_trouble)
        .or_else(|| {
            let phase = status.phase.as_deref().unwrap_or("unknown");
            Some(format!("is not ready, phase {phase}"))
        })
}

fn container_trouble(container: &ContainerStatus) -> Option<String> {
    let name = &container.name;
    let state = container.state.as_ref()?;
    let last = container
        .last_state
        .as_ref()
        .and_then(|state| state.terminated.as_ref());
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or_default();
        let message = waiting.message.as_deref().unwrap_or_default();
        return Some(match (reason, last) {
            ("ErrImagePull" | "ImagePullBackOff" | "InvalidImageName", _) => {
                format!("cannot pull the image {}: {message}", container.image)
            }
            ("CreateContainerConfigError", _) => format!("cannot start {name}: {message}"),
            ("CrashLoopBackOff", Some(last)) => format!(
                "does not stay up: {name} ended with {}, exit code {}, {} restarts",
                last.reason.as_deref().unwrap_or("no reason"),
                last.exit_code,
                container.restart_count,
            ),
            ("PodInitializing" | "ContainerCreating", _) => return None,
            _ => format!("waits: {name} {reason} {message}"),
        });
    }
    if let Some(ended) = &state.terminated
        && ended.exit_code != 0
    {
        let reason = ended.reason.as_deref().unwrap_or("no reason");
        return Some(format!(
            "{name} ended with {reason}, exit code {}",
            ended.exit_code
        ));
    }
    state
        .running
        .as_ref()
        .map(|_| format!("runs, and {name} does not say that it is ready"))
}

/// The newest warning about a pod.
async fn last_warning(
    kube: &Kube,
    namespace: &str,
    pod: &str,
) -> Result<Option<String>, ClusterError> {
    let events: Api<Event> = Api::namespaced(kube.client.clone(), namespace);
    let selector = format!("involvedObject.name={pod},type=Warning");
    let events = events
        .list(&ListParams::default().fields(&selector))
        .await
        .map_err(ClusterError::kubernetes(format!(
            "list the events of {namespace}"
        )))?;
    Ok(events
        .into_iter()
        .max_by_key(when)
        .and_then(|event| Some(format!("{}: {}", event.reason?, event.message?))))
}

fn when(event: &Event) -> Option<Timestamp> {
    let series = event
        .series
        .as_ref()
        .and_then(|series| series.last_observed_time.as_ref());
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    series
        .or(event.event_time.as_ref())
        .map(|time| time.0)
        .or(last)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({ "metadata": { "name": "loki-0" }, "status": status }))
            .unwrap()
    }

    fn container(state: Value, last: Value) -> Value {
        json!({ "phase": "Pending", "containerStatuses": [{
            "name": "loki", "ready": false, "restartCount": 4, "image": "grafana/loki:3", "imageID": "",
            "state": state, "lastState": last,
        }] })
    }

    #[test]
    fn a_ready_pod_has_no_trouble() {
        let ready = json!({ "conditions": [{ "type": "Ready", "status": "True" }] });
        assert_eq!(trouble(&pod(ready)), None);
        assert_eq!(trouble(&pod(json!({ "phase": "Succeeded" }))), None);
    }

    #[test]
    fn each_way_of_not_starting_is_told_in_its_own_words() {
        let table = [
            (
                container(
                    json!({ "waiting": { "reason": "ImagePullBackOff", "message": "not found" } }),
                    json!({}),
                ),
                "cannot pull the image grafana/loki:3: not found",
            ),
            (
                container(
                    json!({ "waiting": { "reason": "CrashLoopBackOff" } }),
                    json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } }),
                ),
                "loki ended with OOMKilled, exit code 137, 4 restarts",
            ),
            (
                container(
                    json!({ "waiting": { "reason": "CreateContainerConfigError", "message": "secret \"x\" not found" } }),
                    json!({}),
                ),
                "cannot start loki: secret \"x\" not found",
            ),
            (
                container(json!({ "running": {} }), json!({})),
                "runs, and loki does not say that it is ready",
            ),
            (
                json!({ "phase": "Pending", "conditions": [
                    { "type": "PodScheduled", "status": "False", "message": "0/1 nodes: Insufficient memory" }] }),
                "is not scheduled: 0/1 nodes: Insufficient memory",
            ),
        ];
        for (status, words) in table {
            let told = trouble(&pod(status)).unwrap();
            assert!(told.contains(words), "{told}");
        }
    }
}
