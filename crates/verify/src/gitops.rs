//! Diagram 1: Argo CD applies the components. Only an engine with a Kubernetes API has one to ask.

use blueprint::Component;

use crate::finding::{Finding, Probed};

/// What every arrow of Kubernetes says on an engine that claims the components and has no way to the API server.
pub(crate) fn no_kubernetes_api() -> Probed {
    Err(Finding::new(
        "this engine offers no Kubernetes API",
        "verify with the kind or cluster engine",
    ))
}

/// Argo CD applied the component.
pub(crate) fn applied(_component: Component) -> Probed {
    no_kubernetes_api()
}
