//! The causes behind messages of the container engine and of kind that do not name them: the cluster engine tells them
//! after a failure, `doctor` before one.

/// Words of an error, and what to do about it.
const CAUSES: [(&[&str], &str); 11] = [
    // Before the next: both name the socket.
    (
        &["permission denied while trying to connect"],
        "let this user use Docker: `sudo usermod -aG docker $USER`, then log in again",
    ),
    (
        &[
            "Cannot connect to the Docker daemon",
            "connection refused\" docker.sock",
            "Is the docker daemon running",
            // Docker 29 says it in other words.
            "failed to connect to the docker API",
        ],
        "start the container engine: `sudo systemctl start docker`",
    ),
    (
        &["Cannot connect to Podman"],
        "start Podman's machine: `podman machine start`",
    ),
    (
        // systemd in the node ends over inotify and prints nothing that kind knows.
        &[
            "too many open files",
            "Reached target .*Multi-User System",
            "inotify",
        ],
        "raise the limits that all containers share: `sudo sysctl fs.inotify.max_user_instances=512 \
         fs.inotify.max_user_watches=524288`",
    ),
    (
        &["toomanyrequests", "429 Too Many Requests"],
        "the registry limits anonymous pulls: `docker login`, wait an hour, or bootstrap from a bundle",
    ),
    (
        &["port is already allocated", "address already in use"],
        "another program took the port meanwhile; `cargo xtask bootstrap` again takes the next one",
    ),
    (
        &["no space left on device"],
        "free some disk space; `docker system df` shows what the container engine holds",
    ),
    (
        &["certificate signed by unknown authority", "x509:"],
        "a proxy replaces certificates: give its CA to the container engine, or bootstrap from a bundle",
    ),
    (
        &[
            "no such host",
            "i/o timeout",
            "network is unreachable",
            "TLS handshake timeout",
        ],
        "this machine does not reach the registry: look at its network and proxy, or bootstrap from a bundle",
    ),
    (
        &[
            "failed to init node with kubeadm",
            "healthz",
            "kubelet is not running",
        ],
        "the node was kept: `docker exec NODE journalctl -u kubelet` says why it does not start; `cargo xtask doctor` knows \
         the usual causes",
    ),
    (
        &[
            "manifest unknown",
            "pull access denied",
            "not found: manifest",
        ],
        "the image is not in the registry any more: `cargo xtask images list` shows where each comes from",
    ),
];

/// What to do about an error, where its words are known.
pub fn explain(said: &str) -> Option<String> {
    CAUSES
        .iter()
        .find(|(words, _)| words.iter().any(|words| contains(said, words)))
        .map(|(_, remedy)| (*remedy).to_owned())
}

/// Whether the parts between `.*` occur one after another.
fn contains(said: &str, words: &str) -> bool {
    let mut rest = said;
    words.split(".*").all(|part| match rest.split_once(part) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cryptic_messages_are_translated() {
        let table = [
            (
                r#"ERROR: failed to create cluster: could not find a log line that matches "Reached target .*Multi-User System.*|detected cgroup v1""#,
                "inotify",
            ),
            (
                "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
                "systemctl start docker",
            ),
            (
                "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is running",
                "systemctl start docker",
            ),
            (
                "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
                "usermod -aG docker",
            ),
            (
                "Cannot connect to Podman. Please verify your connection to the Linux system",
                "podman machine start",
            ),
            (
                "toomanyrequests: You have reached your pull rate limit.",
                "docker login",
            ),
            (
                "Bind for 127.0.0.1:3000 failed: port is already allocated",
                "takes the next one",
            ),
            (
                "failed to init node with kubeadm: command \"docker exec\" failed",
                "journalctl -u kubelet",
            ),
        ];
        for (said, words) in table {
            let told = explain(said).unwrap_or_default();
            assert!(told.contains(words), "{said}: {told}");
        }
        assert_eq!(explain("something new"), None);
    }
}
