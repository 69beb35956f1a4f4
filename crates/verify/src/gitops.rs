//! Diagram 1: Argo CD applies the components. Only an engine with a Kubernetes API has one to ask.

use blueprint::Component;

use crate::{
    context::Context,
    finding::{Finding, Probed},
    kubernetes::{ApplicationFacts, Kubernetes},
    poll,
};

/// The way to the API server, of an engine that claims components which only Kubernetes has.
pub(crate) fn kubernetes<'a>(context: &'a Context<'_>) -> Result<&'a dyn Kubernetes, Finding> {
    context.engine.kubernetes().ok_or_else(|| {
        Finding::new(
            "this engine offers no Kubernetes API",
            "verify with the kind or cluster engine",
        )
    })
}

/// Argo CD applied the component: at the revision that the lab was moved to last, and every object of it carries the id by
/// which Argo CD knows it again.
pub(crate) async fn applied(context: &Context<'_>, component: Component) -> Probed {
    let kubernetes = kubernetes(context)?;
    poll::until("Argo CD", context.deadline, async || {
        judge(component, &kubernetes.application(component).await?)
    })
    .await
}

fn judge(component: Component, application: &ApplicationFacts) -> Probed {
    let ApplicationFacts {
        name,
        desired,
        compared,
        sync,
        health,
        message,
        objects,
    } = application;
    let finding = |reason: String| Finding::new(reason, "see `cargo xtask status`");
    if compared != desired {
        return Err(finding(format!(
            "the Application {name} is at {compared}, the lab was moved to {desired}"
        )));
    }
    if let Some(gone) = objects.iter().find(|object| !object.exists) {
        return Err(finding(format!("{} is gone", gone.name)));
    }
    if sync != "Synced" || health != "Healthy" {
        let message = message
            .as_ref()
            .map_or(String::new(), |message| format!(": {message}"));
        return Err(finding(format!(
            "the Application {name} is {sync} and {health}{message}"
        )));
    }
    let ours = format!("{name}:");
    if let Some(foreign) = objects.iter().find(|object| {
        !object
            .tracking_id
            .as_ref()
            .is_some_and(|id| id.starts_with(&ours))
    }) {
        let id = foreign.tracking_id.as_deref().unwrap_or("none");
        return Err(finding(format!(
            "{} carries the tracking id {id}, not one of {name}",
            foreign.name
        )));
    }
    if objects.is_empty() {
        return Err(Finding::at(
            Component::Argocd,
            format!("the Application {name} has applied nothing of {component}"),
        ));
    }
    Ok(format!(
        "Synced and Healthy at {}, {} objects carry its tracking id",
        short(desired),
        objects.len()
    ))
}

/// Enough of a digest to recognise it; of anything else all.
fn short(revision: &str) -> &str {
    match revision.strip_prefix("sha256:") {
        Some(_) => &revision[..revision.len().min("sha256:".len() + 12)],
        None => revision,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubernetes::TrackedObject;

    fn application() -> ApplicationFacts {
        let object = |name: &str| TrackedObject {
            name: name.to_owned(),
            exists: true,
            tracking_id: Some(format!("loki:apps/StatefulSet:loki/{name}")),
        };
        ApplicationFacts {
            name: "loki".to_owned(),
            desired: "sha256:0123456789abcdef".to_owned(),
            compared: "sha256:0123456789abcdef".to_owned(),
            sync: "Synced".to_owned(),
            health: "Healthy".to_owned(),
            message: None,
            objects: vec![object("loki"), object("other")],
        }
    }

    #[test]
    fn an_application_at_the_wanted_revision_is_proven_with_its_objects() {
        let evidence = judge(Component::Loki, &application()).unwrap();
        assert_eq!(
            evidence,
            "Synced and Healthy at sha256:0123456789ab, 2 objects carry its tracking id"
        );
    }

    #[test]
    fn whatever_differs_is_named() {
        let told = |change: fn(&mut ApplicationFacts)| {
            let mut application = application();
            change(&mut application);
            judge(Component::Loki, &application).unwrap_err().reason
        };
        let table = [
            (
                told(|application| application.compared = "sha256:old".to_owned()),
                "is at sha256:old",
            ),
            (
                told(|application| application.objects[1].exists = false),
                "other is gone",
            ),
            (
                told(|application| {
                    application.health = "Degraded".to_owned();
                    application.message = Some("a pod does not start".to_owned());
                }),
                "Synced and Degraded: a pod does not start",
            ),
            (
                told(|application| application.objects[0].tracking_id = None),
                "carries the tracking id none",
            ),
            (
                told(|application| application.objects.clear()),
                "has applied nothing of loki",
            ),
        ];
        for (told, words) in table {
            assert!(told.contains(words), "{told}");
        }
    }
}
