//! What can go wrong with a lab on Kubernetes, and what to do about it.

use std::time::Duration;

use kube::core::Status;

/// A failure of the cluster engines. Each message speaks for its own level; [`ClusterError::hint`] says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A program that the engine drives is not on this machine.
    #[error("the program `{program}` is not on PATH")]
    MissingProgram {
        /// Its name.
        program: String,
        /// How to get it.
        remedy: &'static str,
    },
    /// A program ended with an error.
    #[error("`{command}` failed: {said}")]
    Program {
        /// The command as it could be typed.
        command: String,
        /// The end of what it wrote.
        said: String,
    },
    /// A program did not end in time, and was ended.
    #[error("`{command}` did not end within {} s", bound.as_secs())]
    ProgramHung {
        /// The command as it could be typed.
        command: String,
        /// How long it was given.
        bound: Duration,
    },
    /// The kubeconfig cannot be used, or has no such context.
    #[error("the context `{context}` cannot be used")]
    Kubeconfig {
        /// The context that was asked for.
        context: String,
        /// Why.
        #[source]
        source: kube::config::KubeconfigError,
    },
    /// The API server refused a request.
    #[error("the API server refuses to {action}: {}", words(status))]
    Refused {
        /// What was tried, as a verb with its object.
        action: String,
        /// Its answer.
        status: Box<Status>,
    },
    /// The API server does not answer.
    #[error("the API server does not answer the attempt to {action}")]
    Unanswered {
        /// What was tried, as a verb with its object.
        action: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A manifest does not say what it should.
    #[error("{what} is malformed: {reason}")]
    Malformed {
        /// The file, or the command that made it.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A container runs, and nothing listens on its port.
    #[error("nothing listens on port {port} of the container {container} after {} s", waited.as_secs())]
    Silent {
        /// Its name.
        container: String,
        /// The port on 127.0.0.1.
        port: u16,
        /// How long it was waited for.
        waited: Duration,
        /// Why the last attempt failed.
        #[source]
        source: std::io::Error,
    },
    /// An image that the manifests name lacks its tag, by which its registry is asked, or its digest.
    #[error("the image {image} has no {lacks}")]
    Unpinned {
        /// The image as it is named.
        image: String,
        /// `tag` or `digest`.
        lacks: &'static str,
    },
    /// Of the files that pin images, one could not be changed.
    #[error("{written} of {all} files could be changed")]
    NotWritten {
        /// How many were changed before.
        written: usize,
        /// How many were to be changed.
        all: usize,
        /// Why the next one was not.
        #[source]
        source: lab::LabError,
    },
    /// Something that was waited for did not come.
    #[error("{what} after {} s: {why}", waited.as_secs())]
    GaveUp {
        /// What did not come, as a clause.
        what: String,
        /// How long it was waited for.
        waited: Duration,
        /// The object that holds it up, and its probable cause.
        why: String,
    },
    /// The installation of Argo CD is not the pinned one.
    #[error("{url} has the SHA-256 {found}, not {expected}")]
    Checksum {
        /// Where it came from.
        url: String,
        /// What was pinned.
        expected: String,
        /// What came.
        found: String,
    },
    /// The installation of Argo CD cannot be fetched.
    #[error("cannot fetch {url}")]
    Fetch {
        /// Where it should come from.
        url: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something of this lab's name was made by somebody else.
    #[error("{what} belongs to another lab, or to none")]
    Foreign {
        /// What it is.
        what: String,
    },
    /// A namespace that the lab wants holds somebody else's work.
    #[error("the namespace {name} is there and is not the lab's")]
    ForeignNamespace {
        /// Its name.
        name: String,
    },
    /// Something of the lab is still there after it was taken down.
    #[error("left behind: {}", left.join(", "))]
    LeftBehind {
        /// What, each with its kind.
        left: Vec<String>,
    },
    /// The lab's own state cannot be used.
    #[error(transparent)]
    Lab(#[from] lab::LabError),
    /// The registry does not take or give what was asked.
    #[error(transparent)]
    Registry(#[from] oci::OciError),
}

/// What the API server said; without words of its own the reason stands in.
fn words(status: &Status) -> String {
    match (status.message.trim(), status.reason.trim()) {
        ("", "") => format!("HTTP {}", status.code),
        ("", reason) => reason.to_owned(),
        (message, _) => message.to_owned(),
    }
}

impl ClusterError {
    /// An error of the Kubernetes client, for `map_err`; `action` is a verb with its object.
    pub(crate) fn kubernetes(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let action = action.into();
        move |error| match error {
            kube::Error::Api(status) => Self::Refused { action, status },
            // Its words are those of its source.
            kube::Error::Service(source) => Self::Unanswered { action, source },
            error => Self::Unanswered {
                action,
                source: error.into(),
            },
        }
    }

    pub(crate) fn malformed(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Malformed {
            what: what.into(),
            reason: reason.to_string(),
        }
    }

    /// What to do next, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::MissingProgram { remedy, .. } => Some((*remedy).to_owned()),
            Self::Program { command, said } => Some(after(command, said)),
            Self::Silent { container, .. } => Some(format!(
                "`docker logs {container}` says why; bootstrap goes on from here when it is run again"
            )),
            Self::ProgramHung { .. } => Some(
                "see whether the container engine answers: `cargo xtask doctor`".to_owned(),
            ),
            Self::Kubeconfig { .. } => {
                Some("`kubectl config get-contexts` lists what there is".to_owned())
            }
            Self::Refused { status, .. } if status.code == 401 => {
                Some("the credentials of that context have expired or are wrong: log in again".to_owned())
            }
            Self::Refused { status, .. } if status.code == 403 => Some(
                "the lab makes namespaces, cluster roles and custom resources: use a context that may".to_owned(),
            ),
            Self::Unanswered { .. } => Some(
                "`cargo xtask bootstrap` starts a kind cluster that was stopped; of another one, see whether this machine \
                 reaches it: `kubectl --context CONTEXT version`"
                    .to_owned(),
            ),
            Self::Unpinned { .. } => Some(
                "write it as registry/repository:tag@sha256:digest: the tag for people, the digest for machines".to_owned(),
            ),
            Self::NotWritten { .. } => Some(
                "make it writable, then run the same command again; an installation's manifests are changed in the checkout \
                 that it is made from"
                    .to_owned(),
            ),
            Self::GaveUp { .. } => Some(
                "`cargo xtask status` shows every component; bootstrap goes on from here when it is run again"
                    .to_owned(),
            ),
            Self::Checksum { .. } => Some(
                "a proxy may have answered in its place; look at what it sends".to_owned(),
            ),
            Self::Fetch { .. } => Some(
                "on a machine without a network, put the file at manifests/argocd/install.yaml first".to_owned(),
            ),
            Self::Foreign { .. } => Some(
                "give this lab another name with --name, or remove what is there by hand".to_owned(),
            ),
            Self::ForeignNamespace { .. } => Some(
                "give the lab's namespaces other names with --namespace-prefix".to_owned(),
            ),
            Self::LeftBehind { .. } => Some(
                "run `cargo xtask down` again; what is still there then belongs to something else".to_owned(),
            ),
            Self::Lab(error) => error.hint(),
            Self::Registry(error) => error.hint(),
            Self::Refused { .. } | Self::Malformed { .. } => None,
        }
    }
}

/// What to do about a command that failed with these words.
fn after(command: &str, said: &str) -> String {
    match terminal::causes::explain(said) {
        Some(remedy) => remedy.replace("NODE", &node(command).unwrap_or("NODE".to_owned())),
        // It builds a copy, which is gone by the time that somebody looks.
        None if command.starts_with("kustomize ") => {
            "mend that file in the lab's manifests/, of which a copy was built".to_owned()
        }
        None => "run that command by hand to see more; `cargo xtask doctor` looks for what is missing on this machine"
            .to_owned(),
    }
}

/// The node of the cluster that a command of kind is about.
fn node(command: &str) -> Option<String> {
    let (_, rest) = command.split_once("--name ")?;
    let name = rest.split_whitespace().next()?;
    Some(format!("{name}-control-plane"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failed_command_comes_with_a_next_step() {
        let table = [
            (
                "kind create cluster --name lab-default",
                "failed to init node with kubeadm",
                "docker exec lab-default-control-plane journalctl",
            ),
            ("kustomize build x", "MalformedYAMLError", "mend that file"),
            (
                "docker network create x",
                "something new",
                "run that command by hand",
            ),
        ];
        for (command, said, words) in table {
            let told = after(command, said);
            assert!(told.contains(words), "{told}");
        }
    }
}
