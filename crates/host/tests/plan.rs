//! The plan rendered from the repository's own `manifests/`, and what is said when they are wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

use blueprint::Component;
use host::{HostError, Plan, PlanInput, Programs, plan};
use lab::{Lab, LabError};
use verify::{Fault, Presence};

/// Planning looks whether ports are free by binding them, and a test beside this one would find them taken. So would
/// this one when another starts a process meanwhile: until that runs its program, it holds what was bound.
static PORTS: Mutex<()> = Mutex::new(());

struct Site {
    _ports: MutexGuard<'static, ()>,
    state: tempfile::TempDir,
    input: PlanInput,
}

impl Site {
    /// A lab that takes every program to be on this machine: planning looks at them, it does not run them.
    fn new() -> Self {
        // A test that failed has left the ports as they were.
        let ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
        let state = tempfile::tempdir().unwrap();
        let bin = state.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let names = [
            "rabbitmq-server",
            "prometheus",
            "alertmanager",
            "node_exporter",
            "blackbox_exporter",
            "minio",
            "loki",
            "promtail",
            "pyroscope",
            "grafana",
        ];
        for name in names {
            let script = bin.join(name);
            fs::write(&script, format!("#!/bin/sh\necho {name}, version 1.2.3\n")).unwrap();
            assert!(
                Command::new("chmod")
                    .arg("+x")
                    .arg(&script)
                    .status()
                    .unwrap()
                    .success()
            );
        }
        let input = PlanInput {
            lab: Lab::at(&state.path().join("state"), "default"),
            manifests: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../manifests"),
            programs: Programs::in_path(bin.as_os_str()),
            producer: PathBuf::from("/bin/true"),
            consumer: PathBuf::from("/bin/true"),
        };
        let site = Self {
            _ports: ports,
            state,
            input,
        };
        site.move_ports();
        site
    }

    /// Remembers ports that no lab and no component of this machine prefers: one that starts or ends between two
    /// plans of a test would otherwise move a port of the second.
    fn move_ports(&self) {
        self.plan(&[]).unwrap();
        let mut file = self.input.lab.load_or_create(&lab::Engine::Host).unwrap();
        file.ports.values_mut().for_each(|port| *port += 1_500);
        self.input.lab.save(&file).unwrap();
    }

    fn plan(&self, faults: &[Fault]) -> Result<Plan, HostError> {
        let mut file = self.input.lab.load_or_create(&lab::Engine::Host)?;
        plan(&self.input, &mut file, false, faults)
    }

    /// A copy of the manifests that a test may damage.
    fn copy_manifests(&mut self) -> PathBuf {
        let copy = self.state.path().join("manifests");
        let copied = Command::new("cp")
            .arg("-r")
            .arg(&self.input.manifests)
            .arg(&copy)
            .status();
        assert!(copied.unwrap().success());
        self.input.manifests.clone_from(&copy);
        copy
    }

    fn rendered(&self, component: Component, name: &str) -> String {
        fs::read_to_string(self.input.lab.config(component).join(name)).unwrap()
    }
}

fn fingerprint(plan: &Plan, name: &str) -> String {
    let unit = plan.units.iter().find(|unit| unit.name == name).unwrap();
    format!("{} {:?}", unit.fingerprint, unit.environment)
}

#[test]
fn every_component_but_kubernetes_own_has_a_unit_and_planning_twice_is_planning_once() {
    let site = Site::new();
    let first = site.plan(&[]).unwrap();
    let absent = [
        Component::Argocd,
        Component::MetricsServer,
        Component::KubeStateMetrics,
    ];
    for component in Component::ALL {
        let has_unit = first.units.iter().any(|unit| unit.component == component);
        assert_eq!(has_unit, !absent.contains(&component), "{component}");
    }
    let second = site.plan(&[]).unwrap();
    assert_eq!(second.units, first.units);
    assert_eq!(second.reload, []);
}

#[test]
fn no_rendered_configuration_names_a_service_of_the_cluster() {
    let site = Site::new();
    site.plan(&[]).unwrap();
    let found = Command::new("grep")
        .args([
            "-rnE",
            r"\.svc:[0-9]|kubernetes_sd_configs|__meta_kubernetes",
        ])
        .arg(site.input.lab.directory().join("config"))
        .output()
        .unwrap();
    let found = String::from_utf8_lossy(&found.stdout);
    // Jobs and modules that only a cluster uses keep their comments and names, not their addresses.
    let lines: Vec<_> = found.lines().filter(|line| !line.contains('#')).collect();
    assert_eq!(lines, [""; 0]);
}

#[test]
fn a_fault_changes_the_plan_and_the_plan_without_it_is_the_former_one() {
    let site = Site::new();
    let sound = site.plan(&[]).unwrap();
    let targets = "targets/rabbitmq.json";
    let sound_targets = site.rendered(Component::Prometheus, targets);

    let cut = |from, to| Fault::LinkCut { from, to };
    site.plan(&[cut(Component::Prometheus, Component::Rabbitmq)])
        .unwrap();
    assert!(
        site.rendered(Component::Prometheus, targets)
            .contains("127.0.0.1:1\"")
    );

    let hidden = site.plan(&[Fault::LogsHidden]).unwrap();
    assert_ne!(
        fingerprint(&hidden, "promtail"),
        fingerprint(&sound, "promtail")
    );

    let pushed = site
        .plan(&[cut(Component::Producer, Component::Pyroscope)])
        .unwrap();
    assert_ne!(
        fingerprint(&pushed, "producer"),
        fingerprint(&sound, "producer")
    );
    assert_eq!(
        fingerprint(&pushed, "consumer"),
        fingerprint(&sound, "consumer")
    );

    assert_eq!(site.plan(&[]).unwrap().units, sound.units);
    assert_eq!(site.rendered(Component::Prometheus, targets), sound_targets);
}

#[test]
fn a_taken_port_moves_and_stays_moved() {
    let site = Site::new();
    let squatter = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let taken = squatter.local_addr().unwrap().port();
    let mut file = site.input.lab.load_or_create(&lab::Engine::Host).unwrap();
    file.ports.insert("grafana/http".to_owned(), taken);
    let moved = plan(&site.input, &mut file, false, &[]).unwrap();
    let port = moved.ports.get(Component::Grafana, "http").unwrap();
    assert_ne!(port, taken);
    drop(squatter);
    let again = site.plan(&[]).unwrap();
    assert_eq!(again.ports.get(Component::Grafana, "http"), Some(port));
}

#[test]
fn loki_without_its_object_store_is_absent_with_the_reason() {
    let mut site = Site::new();
    fs::remove_file(site.state.path().join("bin/minio")).unwrap();
    site.input.programs = Programs::in_path(site.state.path().join("bin").as_os_str());
    let Presence::Absent { reason, .. } = site.input.presence(Component::Promtail) else {
        panic!("promtail is present without loki and minio");
    };
    assert!(
        reason.contains("loki") && reason.contains("`minio`"),
        "{reason}"
    );
}

#[test]
fn a_configuration_that_cannot_be_read_or_understood_is_named() {
    let mut site = Site::new();
    let prometheus = site.copy_manifests().join("prometheus/prometheus.yml");
    fs::write(&prometheus, "scrape_configs: [").unwrap();
    let error = site.plan(&[]).unwrap_err();
    assert!(
        matches!(&error, HostError::Lab(LabError::Malformed { path, .. }) if *path == prometheus)
    );

    fs::write(&prometheus, "scrape_configs: [{job_name: nobody}]").unwrap();
    let error = site.plan(&[]).unwrap_err().to_string();
    assert!(error.contains("`nobody`"), "{error}");

    fs::remove_file(&prometheus).unwrap();
    let error = site.plan(&[]).unwrap_err();
    assert!(matches!(&error, HostError::Lab(LabError::File { path, .. }) if *path == prometheus));
}
