//! What the user reads when Docker or kind is missing, refuses or says nothing; reviewed and written again as in `messages.rs`.

use expect_test::expect_file;
use lab_tests::kind_lab::{BOOTSTRAP, KindLab};

use crate::transcript::transcript;

/// A command on a machine as `prepare` leaves it.
fn told(
    test: &str,
    title: &str,
    arguments: &[&str],
    prepare: impl FnOnce(&KindLab),
) -> Option<String> {
    let lab = KindLab::new(test)?;
    prepare(&lab);
    let said = lab.run(arguments);
    Some(transcript(&lab, title, arguments, &said))
}

#[test]
fn a_container_engine_that_does_not_work_is_explained() {
    let test = "a_container_engine_that_does_not_work_is_explained";
    let fails = |command: &'static str, code: u8, words: &'static str| {
        move |lab: &KindLab| lab.engine(|engine| engine.fail(command, code, words))
    };
    let mut text = String::new();
    let mut say = |title: &str, prepare: &dyn Fn(&KindLab)| {
        let said = told(test, title, &BOOTSTRAP, prepare)?;
        text.push_str(&said);
        Some(())
    };
    let all = (|| {
        say("docker is not there", &|lab| lab.without("docker"))?;
        say("kind is not there", &|lab| lab.without("kind"))?;
        say("kustomize is not there", &|lab| lab.without("kustomize"))?;
        say(
            "the docker daemon does not run",
            &fails(
                "docker",
                1,
                "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            ),
        )?;
        say(
            "the docker daemon of a later version does not run",
            &fails(
                "docker",
                1,
                "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon \
             is running: dial unix /var/run/docker.sock: connect: no such file or directory",
            ),
        )?;
        say(
            "docker is not for this user",
            &fails(
                "docker",
                1,
                "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
            ),
        )?;
        say(
            "the registry's image is not given",
            &fails(
                "docker run",
                125,
                "Unable to find image 'docker.io/library/registry:3.1.1' locally\ndocker: Error response from daemon: \
             toomanyrequests: You have reached your unauthenticated pull rate limit. \
             https://www.docker.com/increase-rate-limit",
            ),
        )?;
        say(
            "the registry's image is out of reach",
            &fails(
                "docker run",
                125,
                "docker: Error response from daemon: Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup \
             registry-1.docker.io: no such host",
            ),
        )?;
        say(
            "a proxy replaces certificates",
            &fails(
                "docker run",
                125,
                "docker: Error response from daemon: Get \"https://registry-1.docker.io/v2/\": tls: failed to verify \
             certificate: x509: certificate signed by unknown authority",
            ),
        )?;
        say(
            "the disk is full",
            &fails(
                "docker run",
                125,
                "docker: Error response from daemon: failed to create task for container: failed to create shim task: write \
             /run/containerd/x: no space left on device",
            ),
        )?;
        say(
            "the registry's port is taken meanwhile",
            &fails(
                "docker run",
                125,
                "docker: Error response from daemon: failed to set up container networking: driver failed programming external \
             connectivity on endpoint lab-default-registry: Bind for 127.0.0.1:5001 failed: port is already allocated",
            ),
        )?;
        say("the registry does not listen", &|lab| {
            lab.engine(|engine| engine.idle("docker run"))
        })?;
        say(
            "systemd of the node does not start",
            &fails(
                "kind create cluster",
                1,
                "Creating cluster \"lab-default\" ...\n ✗ Preparing nodes 📦\nERROR: failed to create cluster: could not find a \
             log line that matches \"Reached target .*Multi-User System.*|detected cgroup v1\"",
            ),
        )?;
        say(
            "kubelet of the node does not start",
            &fails(
                "kind create cluster",
                1,
                "ERROR: failed to create cluster: failed to init node with kubeadm: command \"docker exec --privileged \
             lab-default-control-plane kubeadm init --config=/kind/kubeadm.conf\" failed with error: exit status 1",
            ),
        )?;
        say(
            "a port of the node is taken meanwhile",
            &fails(
                "kind create cluster",
                1,
                "ERROR: failed to create cluster: command \"docker run --name lab-default-control-plane\" failed with error: exit \
             status 125: Bind for 127.0.0.1:3000 failed: port is already allocated",
            ),
        )?;
        say(
            "something that nobody has seen before",
            &fails(
                "docker network create",
                1,
                "Error response from daemon: all predefined address pools have been fully subnetted",
            ),
        )
    })();
    if all.is_some() {
        expect_file!["container_engine.out"].assert_eq(&text);
    }
}

#[test]
fn a_container_engine_that_says_nothing_is_given_up() {
    let test = "a_container_engine_that_says_nothing_is_given_up";
    let hangs = |lab: &KindLab| lab.engine(|engine| engine.hang("docker info"));
    let title = "the docker daemon does not answer";
    if let Some(text) = told(test, title, &BOOTSTRAP, hangs) {
        expect_file!["container_engine_hangs.out"].assert_eq(&text);
    }
}
