//! kind, kustomize and kubectl against what the manifests are pinned to.

use serde_json::Value;

use super::{
    ask::{Answer, ask, major_minor},
    finding::{Finding, Scope},
};

/// The kind that the node image of `manifests/overlays/kind/cluster.yaml` was published with.
const KIND: (u32, u32) = (0, 31);

const INSTALL_KIND: &str =
    "`go install sigs.k8s.io/kind@v0.31.0`, or https://kind.sigs.k8s.io/docs/user/quick-start";

/// The manifests are tested with it.
const KUSTOMIZE: u32 = 5;

const INSTALL_KUSTOMIZE: &str =
    "`go install sigs.k8s.io/kustomize/kustomize/v5@latest`, or https://kustomize.io";

/// What each program said about its version.
pub(super) struct Said {
    pub(super) kind: Answer,
    pub(super) kustomize: Answer,
    pub(super) kubectl: Answer,
}

impl Said {
    pub(super) async fn read() -> Self {
        let (kind, kustomize, kubectl) = tokio::join!(
            ask("kind", &["version"]),
            ask("kustomize", &["version"]),
            ask("kubectl", &["version", "--client", "--output", "json"]),
        );
        Self {
            kind,
            kustomize,
            kubectl,
        }
    }
}

/// `kubernetes` is the version of the node image.
pub(super) fn judge(said: &Said, kubernetes: Option<(u32, u32)>) -> Vec<Finding> {
    let kubectl = kubernetes.and_then(|pinned| kubectl(&said.kubectl, pinned));
    [kind(&said.kind), kustomize(&said.kustomize)]
        .into_iter()
        .chain(kubectl)
        .collect()
}

fn kind(answer: &Answer) -> Finding {
    let less = |found: String| Finding::less(Scope::Kind, "kind", found, INSTALL_KIND);
    let Some(said) = answer.said() else {
        return less(format!(
            "{}; needed for --engine kind only",
            trouble(answer)
        ));
    };
    // `kind v0.31.0 go1.25.5 linux/amd64`
    let version = said.split_whitespace().nth(1).unwrap_or(said);
    if major_minor(version) == Some(KIND) {
        return Finding::good(Scope::Kind, "kind", version);
    }
    let (major, minor) = KIND;
    less(format!(
        "{version}; the pinned node image is that of {major}.{minor}, and others may not start it"
    ))
}

fn kustomize(answer: &Answer) -> Finding {
    let less = |found: String| Finding::less(Scope::Kind, "kustomize", found, INSTALL_KUSTOMIZE);
    let Some(version) = answer.said() else {
        return less(format!(
            "{}; needed for --engine kind and --engine cluster only",
            trouble(answer)
        ));
    };
    match major_minor(version) {
        Some((major, _)) if major < KUSTOMIZE => less(format!(
            "{version}; the manifests are tested with {KUSTOMIZE}"
        )),
        _ => Finding::good(Scope::Kind, "kustomize", version),
    }
}

/// The lab speaks to the API server itself; kubectl is for people, and only a wrong one is worth a word.
fn kubectl(answer: &Answer, kubernetes: (u32, u32)) -> Option<Finding> {
    let info: Value = serde_json::from_str(answer.said()?).ok()?;
    let version = info["clientVersion"]["gitVersion"].as_str()?;
    let (major, minor) = major_minor(version)?;
    // Kubernetes, "Version Skew Policy": one minor version older or newer than the API server.
    if major == kubernetes.0 && minor.abs_diff(kubernetes.1) <= 1 {
        return Some(Finding::good(Scope::Kind, "kubectl", version));
    }
    let (major, minor) = kubernetes;
    Some(Finding::less(
        Scope::Kind,
        "kubectl",
        format!(
            "{version}; the cluster is {major}.{minor}, and kubectl keeps within one minor version of it"
        ),
        format!(
            "`curl -LO https://dl.k8s.io/release/v{major}.{minor}.0/bin/linux/$(dpkg --print-architecture)/kubectl`"
        ),
    ))
}

/// Why there is no version.
fn trouble(answer: &Answer) -> String {
    match answer {
        Answer::Missing => "not on PATH".to_owned(),
        Answer::Silent => "does not tell its version in time".to_owned(),
        Answer::Failed(said) | Answer::Said(said) => format!(
            "does not tell its version: {}",
            said.lines().next().unwrap_or_default()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{finding::told, pinned::Pinned},
        *,
    };

    fn said(text: &str) -> Answer {
        Answer::Said(text.to_owned())
    }

    fn kubectl_of(version: &str) -> Answer {
        said(&format!(
            r#"{{"clientVersion":{{"gitVersion":"{version}"}}}}"#
        ))
    }

    #[test]
    fn the_pinned_versions_are_well() {
        let said = Said {
            kind: said("kind v0.31.0 go1.25.5 linux/amd64"),
            kustomize: said("v5.8.1"),
            kubectl: kubectl_of("v1.34.2"),
        };
        assert_eq!(
            told(judge(&said, Some((1, 35)))),
            "kind ok kind: v0.31.0\nkind ok kustomize: v5.8.1\nkind ok kubectl: v1.34.2"
        );
    }

    #[test]
    fn missing_ones_are_needed_for_a_cluster_only_and_kubectl_not_at_all() {
        let said = Said {
            kind: Answer::Missing,
            kustomize: Answer::Missing,
            kubectl: Answer::Missing,
        };
        assert_eq!(
            told(judge(&said, Some((1, 35)))),
            "kind less kind: not on PATH; needed for --engine kind only\n  \
             `go install sigs.k8s.io/kind@v0.31.0`, or https://kind.sigs.k8s.io/docs/user/quick-start\n\
             kind less kustomize: not on PATH; needed for --engine kind and --engine cluster only\n  \
             `go install sigs.k8s.io/kustomize/kustomize/v5@latest`, or https://kustomize.io"
        );
    }

    #[test]
    fn other_versions_are_held_against_the_pinned_ones() {
        let said = Said {
            kind: said("kind v0.27.0 go1.23.6 linux/amd64"),
            kustomize: said("v4.5.7"),
            kubectl: kubectl_of("v1.32.4-dispatcher"),
        };
        assert_eq!(
            told(judge(&said, Some((1, 35)))),
            "kind less kind: v0.27.0; the pinned node image is that of 0.31, and others may not start it\n  \
             `go install sigs.k8s.io/kind@v0.31.0`, or https://kind.sigs.k8s.io/docs/user/quick-start\n\
             kind less kustomize: v4.5.7; the manifests are tested with 5\n  \
             `go install sigs.k8s.io/kustomize/kustomize/v5@latest`, or https://kustomize.io\n\
             kind less kubectl: v1.32.4-dispatcher; the cluster is 1.35, and kubectl keeps within one minor version of it\n  \
             `curl -LO https://dl.k8s.io/release/v1.35.0/bin/linux/$(dpkg --print-architecture)/kubectl`"
        );
    }

    #[test]
    fn a_program_that_does_not_tell_its_version_is_named_with_its_words() {
        assert_eq!(
            told([kind(&Answer::Failed("exec format error\nmore".to_owned()))]),
            "kind less kind: does not tell its version: exec format error; needed for --engine kind only\n  \
             `go install sigs.k8s.io/kind@v0.31.0`, or https://kind.sigs.k8s.io/docs/user/quick-start"
        );
        assert_eq!(
            told([kustomize(&Answer::Silent)]),
            "kind less kustomize: does not tell its version in time; needed for --engine kind and --engine cluster only\n  \
             `go install sigs.k8s.io/kustomize/kustomize/v5@latest`, or https://kustomize.io"
        );
    }

    #[test]
    fn the_node_image_is_the_one_of_the_pinned_kind() {
        let pinned = Pinned::of_this_repository();
        // kind's releases name the images made for them: 0.31 has v1.35.0.
        assert_eq!(
            (KIND, pinned.kubernetes),
            ((0, 31), Some((1, 35))),
            "the node image of cluster.yaml moved: KIND and INSTALL_KIND of kind_tools.rs move with it"
        );
    }
}
