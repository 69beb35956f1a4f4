//! Argo CD: its installation, its source, the root Application and what it makes of it.

mod application;
mod install;
mod password;
mod pods;
mod root;
mod source;
mod waiting;

pub use application::{Application, Health, Status, Sync, api, list};
pub(crate) use application::{Resource, kind, message, wave};
pub use install::installation;
pub use password::initial_password;
pub use pods::until_ready;
pub use root::{Revision, desired, is_marked, mark, move_to, root, root_status};
pub use source::Source;
pub use waiting::{Done, until_healthy};

/// The annotation by which Argo CD knows what it applied: `APPLICATION:GROUP/KIND:NAMESPACE/NAME`.
pub const TRACKING: &str = "argocd.argoproj.io/tracking-id";

/// The annotation that makes Argo CD compare anew; it takes it away when it has.
pub const REFRESH: &str = "argocd.argoproj.io/refresh";

/// The annotation that makes Argo CD leave an Application alone.
pub const SKIP_RECONCILE: &str = "argocd.argoproj.io/skip-reconcile";
