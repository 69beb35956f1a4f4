//! How Docker is installed and set up, as far as kind stumbles over it (kind, "Known Issues").

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::finding::{Finding, Scope};

/// What is read of this machine.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Where `docker` on PATH really lies.
    program: Option<PathBuf>,
    /// Where programs put their temporary files.
    temporary: Option<PathBuf>,
    home: Option<PathBuf>,
    /// `DOCKER_HOST`.
    host: Option<String>,
    /// The daemon's configuration files that can be read.
    daemon: Vec<(PathBuf, String)>,
}

impl Facts {
    pub(super) fn read() -> Self {
        let home = env::var_os("HOME").map(PathBuf::from);
        let program = env::var_os("PATH").and_then(|path| {
            env::split_paths(&path)
                .map(|directory| directory.join("docker"))
                .find(|program| program.is_file())
        });
        let configs = [
            Some(PathBuf::from("/etc/docker/daemon.json")),
            home.as_ref()
                .map(|home| home.join(".config/docker/daemon.json")),
        ];
        Self {
            program,
            temporary: env::var_os("TMPDIR").map(PathBuf::from),
            home,
            host: env::var("DOCKER_HOST").ok(),
            daemon: configs
                .into_iter()
                .flatten()
                .filter_map(|path| Some((path.clone(), fs::read_to_string(&path).ok()?)))
                .collect(),
        }
    }
}

/// `root` is the engine's data root.
pub(super) fn judge(facts: &Facts, root: Option<&Path>) -> Vec<Finding> {
    [snap(facts, root), remote(facts)]
        .into_iter()
        .flatten()
        .chain(
            facts
                .daemon
                .iter()
                .filter_map(|(path, text)| init(path, text)),
        )
        .collect()
}

/// Docker from snap does not see /tmp, where kind puts its files.
fn snap(facts: &Facts, root: Option<&Path>) -> Option<Finding> {
    let is_snap = |path: &Path| path.starts_with("/snap") || path.starts_with("/var/snap");
    let by_program = facts.program.as_deref().is_some_and(is_snap);
    if !by_program && !root.is_some_and(is_snap) {
        return None;
    }
    if let (Some(temporary), Some(home)) = (&facts.temporary, &facts.home)
        && temporary.starts_with(home)
    {
        return None;
    }
    Some(Finding::less(
        Scope::Kind,
        "docker from snap",
        "it does not see /tmp, where kind puts its files",
        "`mkdir -p ~/tmp && export TMPDIR=~/tmp`, or install Docker from packages",
    ))
}

/// The lab looks for the containers' ports on 127.0.0.1.
fn remote(facts: &Facts) -> Option<Finding> {
    let host = facts.host.as_deref()?;
    let (scheme, _) = host.split_once("://")?;
    if !matches!(scheme, "tcp" | "ssh" | "http" | "https") {
        return None;
    }
    Some(Finding::less(
        Scope::Kind,
        "DOCKER_HOST",
        format!(
            "the engine is reached over {scheme}: its ports are that machine's, the lab looks for them on this one"
        ),
        "`unset DOCKER_HOST`, or run the lab on that machine",
    ))
}

/// An init of Docker's own takes process 1 from systemd in the node.
fn init(path: &Path, text: &str) -> Option<Finding> {
    let config: Value = serde_json::from_str(text).ok()?;
    (config["init"] == true).then(|| {
        Finding::less(
            Scope::Kind,
            "docker's init",
            format!(
                "\"init\": true in {} keeps kind's nodes from starting",
                path.display()
            ),
            "take it out, then `sudo systemctl restart docker`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{super::finding::told, *};

    fn said(facts: &Facts, root: &str) -> String {
        told(judge(facts, Some(Path::new(root))))
    }

    const SNAP: &str = "kind less docker from snap: it does not see /tmp, where kind puts its files\n  \
                        `mkdir -p ~/tmp && export TMPDIR=~/tmp`, or install Docker from packages";

    #[test]
    fn docker_from_snap_is_known_by_its_program_or_its_data() {
        let mut facts = Facts {
            program: Some("/snap/bin/docker".into()),
            home: Some("/home/a".into()),
            ..Facts::default()
        };
        assert_eq!(said(&facts, "/var/lib/docker"), SNAP);
        facts.temporary = Some("/home/a/tmp".into());
        assert_eq!(said(&facts, "/var/lib/docker"), "");
        assert_eq!(
            said(&Facts::default(), "/var/snap/docker/common/var-lib-docker"),
            SNAP
        );
    }

    #[test]
    fn an_engine_elsewhere_is_named_and_a_socket_is_not() {
        let host = |host: &str| Facts {
            host: Some(host.to_owned()),
            ..Facts::default()
        };
        assert_eq!(
            said(&host("ssh://build"), "/var/lib/docker"),
            "kind less DOCKER_HOST: the engine is reached over ssh: its ports are that machine's, the lab looks for them on this one\n  \
             `unset DOCKER_HOST`, or run the lab on that machine"
        );
        assert_eq!(
            said(
                &host("unix:///run/user/1000/docker.sock"),
                "/var/lib/docker"
            ),
            ""
        );
    }

    #[test]
    fn an_init_of_dockers_own_is_found() {
        let daemon = |text: &str| Facts {
            daemon: vec![("/etc/docker/daemon.json".into(), text.to_owned())],
            ..Facts::default()
        };
        assert_eq!(
            said(&daemon(r#"{"init": true}"#), "/var/lib/docker"),
            "kind less docker's init: \"init\": true in /etc/docker/daemon.json keeps kind's nodes from starting\n  \
             take it out, then `sudo systemctl restart docker`"
        );
        assert_eq!(said(&daemon(r#"{"init": false}"#), "/var/lib/docker"), "");
        assert_eq!(said(&daemon("not JSON"), "/var/lib/docker"), "");
    }
}
