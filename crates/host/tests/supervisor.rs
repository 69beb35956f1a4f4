//! The supervisor with real processes: order, restarts, logs, and that ending a unit ends all that it made.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use blueprint::Component;
use host::{
    Control, HostError, Readiness, Request, Unit, UnitState, UnitStatus, end_leftovers,
    find_leftovers, supervisor,
};
use lab::{Lab, LabError};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinHandle,
    time::{Instant, sleep},
};
use uuid::Uuid;

/// A lab with a supervisor in this process.
struct Bench {
    _state: tempfile::TempDir,
    /// Accepts connections for units whose readiness is a port.
    _listener: TcpListener,
    port: u16,
    lab: Lab,
    instance: Uuid,
    control: Control,
    supervisor: JoinHandle<Result<(), HostError>>,
}

impl Bench {
    async fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let lab = Lab::at(state.path(), "test");
        let instance = lab.load_or_create(&lab::Engine::Host).unwrap().instance;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let bench = Self {
            _state: state,
            port: listener.local_addr().unwrap().port(),
            _listener: listener,
            control: Control::of(&lab),
            supervisor: tokio::spawn(supervisor::run(lab.clone(), instance)),
            lab,
            instance,
        };
        bench.wait("a supervisor that answers", |_| true).await;
        bench
    }

    /// A unit that runs a shell script.
    fn unit(&self, component: Component, script: &str) -> Unit {
        Unit {
            name: component.name().to_owned(),
            component,
            version: "1".to_owned(),
            program: PathBuf::from("/bin/sh"),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: BTreeMap::new(),
            after: Vec::new(),
            readiness: Readiness::Tcp(self.port),
            stop_grace: Duration::from_millis(300),
            fingerprint: String::new(),
            log_directory: self
                .lab
                .container_logs(component, component.name(), self.instance),
        }
    }

    async fn ask(&self, request: Request) -> Vec<UnitStatus> {
        self.control.ask(&request).await.unwrap()
    }

    async fn apply(&self, units: &[&Unit]) -> Vec<UnitStatus> {
        let units = units.iter().map(|unit| (*unit).clone()).collect();
        self.ask(Request::Apply { units }).await
    }

    /// Waits until the units satisfy a condition; says what was seen last otherwise.
    async fn wait(&self, what: &str, holds: impl Fn(&[UnitStatus]) -> bool) -> Vec<UnitStatus> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let seen = self.control.ask(&Request::Status).await;
            match &seen {
                Ok(units) if holds(units) => return units.clone(),
                _ => assert!(Instant::now() < deadline, "waited for {what}, saw {seen:?}"),
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ready(&self) -> Vec<UnitStatus> {
        self.wait("ready units", supervisor::all_ready).await
    }

    async fn backed_off(&self) -> UnitStatus {
        let units = self
            .wait("back-off", |units| units[0].state == UnitState::BackOff)
            .await;
        units[0].clone()
    }

    async fn shut_down(self) {
        self.ask(Request::Shutdown).await;
        self.supervisor.await.unwrap().unwrap();
        assert_eq!(find_leftovers(self.instance), []);
    }
}

fn of(units: &[UnitStatus], component: Component) -> &UnitStatus {
    units
        .iter()
        .find(|status| status.unit.component == component)
        .unwrap()
}

#[tokio::test]
async fn units_start_after_what_they_need_and_unchanged_ones_are_left_alone() {
    let bench = Bench::new().await;
    let broker = bench.unit(Component::Rabbitmq, "exec sleep 600");
    let mut producer = bench.unit(Component::Producer, "exec sleep 600");
    producer.after = vec!["rabbitmq".to_owned()];
    bench.apply(&[&producer, &broker]).await;
    let first = bench.ready().await;
    let broker_ready = of(&first, Component::Rabbitmq).ready_at;
    assert!(of(&first, Component::Producer).started_at >= broker_ready);

    bench.apply(&[&producer, &broker]).await;
    assert_eq!(bench.ready().await, first);

    producer.fingerprint = "changed".to_owned();
    bench.apply(&[&producer, &broker]).await;
    let second = bench.ready().await;
    let same = |component| of(&second, component).pid == of(&first, component).pid;
    assert!(same(Component::Rabbitmq));
    assert!(!same(Component::Producer));
    bench.shut_down().await;
}

#[tokio::test]
async fn a_killed_unit_comes_back_and_a_stopped_one_stays_away() {
    let bench = Bench::new().await;
    let component = Component::Loki;
    bench
        .apply(&[&bench.unit(component, "exec sleep 600")])
        .await;
    let pid = bench.ready().await[0].pid.unwrap();
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(killed.unwrap().success());
    let back = bench
        .wait("a restart", |units| {
            units[0].state == UnitState::Ready && units[0].restarts == 1
        })
        .await;
    assert_ne!(back[0].pid, Some(pid));

    let stopped = bench.ask(Request::Stop { component }).await;
    assert_eq!(
        (stopped[0].state, stopped[0].pid),
        (UnitState::Stopped, None)
    );
    assert_eq!(find_leftovers(bench.instance), []);
    bench.ask(Request::Start { component }).await;
    bench.ready().await;
    bench.shut_down().await;
}

#[tokio::test]
async fn a_unit_that_ends_says_how_and_with_which_last_words() {
    let bench = Bench::new().await;
    let unit = bench.unit(Component::Minio, "echo 'no space left' >&2; exit 7");
    bench.apply(&[&unit]).await;
    let reason = bench.backed_off().await.reason.unwrap();
    assert!(
        reason.contains('7') && reason.contains("no space left"),
        "{reason}"
    );
    let log = std::fs::read_to_string(unit.log_directory.join("0.log")).unwrap();
    let line = log.lines().next().unwrap();
    assert!(line.ends_with(" stderr F no space left"), "{line}");
    bench.shut_down().await;
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_a_reason_not_a_crash() {
    let bench = Bench::new().await;
    let mut unit = bench.unit(Component::Grafana, "");
    unit.program = PathBuf::from("/nonexistent/grafana");
    bench.apply(&[&unit]).await;
    let reason = bench.backed_off().await.reason.unwrap();
    assert!(reason.contains("/nonexistent/grafana"), "{reason}");
    bench.shut_down().await;
}

#[tokio::test]
async fn ending_a_unit_ends_children_that_ignore_the_request() {
    let bench = Bench::new().await;
    let script = "trap '' TERM; (trap '' TERM; sleep 600) & while :; do sleep 600; done";
    bench
        .apply(&[&bench.unit(Component::Blackbox, script)])
        .await;
    bench
        .wait("the shell and its children", |_| {
            find_leftovers(bench.instance).len() >= 3
        })
        .await;
    bench.shut_down().await;
}

#[tokio::test]
async fn a_daemon_that_left_its_group_is_found_by_the_mark() {
    let bench = Bench::new().await;
    let component = Component::Rabbitmq;
    let script = "setsid sleep 600 & exec sleep 601";
    bench.apply(&[&bench.unit(component, script)]).await;
    bench
        .wait("the unit and its daemon", |_| {
            let names = find_leftovers(bench.instance);
            names.iter().filter(|left| left.command == "sleep").count() == 2
        })
        .await;
    bench.ask(Request::Stop { component }).await;
    let left = find_leftovers(bench.instance);
    assert_eq!(left.len(), 1, "{left:?}");
    end_leftovers(bench.instance).await.unwrap();
    bench.shut_down().await;
}

#[tokio::test]
async fn a_lab_has_one_supervisor() {
    let bench = Bench::new().await;
    let second = supervisor::run(bench.lab.clone(), bench.instance).await;
    assert!(
        matches!(second, Err(HostError::Lab(LabError::Busy { .. }))),
        "{second:?}"
    );
    bench.shut_down().await;
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_the_supervisor_serves_on() {
    let bench = Bench::new().await;
    let mut stream = tokio::net::UnixStream::connect(bench.lab.socket())
        .await
        .unwrap();
    stream.write_all(b"{\"do\":\"dance\"}\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.contains("refused") && answer.contains("dance"),
        "{answer}"
    );
    bench.shut_down().await;
}
