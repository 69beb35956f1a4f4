//! A lab of the host engine from an interrupted first bootstrap, through every kill, to the last process and file.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    process::Stdio,
};

use blueprint::Component;
use host::{Request, find_leftovers};
use lab_tests::{
    command_line::{CommandLine, Said},
    group::Group,
    host_lab::{
        ask, command_line, instance, ledger, listens, ports, process_id, processes_of, prove,
    },
    wait,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Held by somebody else, as a system's own broker and Prometheus would.
const TAKEN: [u16; 2] = [5672, 9090];

/// One lab serves all claims, one after another: each begins where the last one left it.
#[tokio::test]
async fn a_lab_comes_up_again_after_anything_and_leaves_nothing() {
    let Some(lab) = command_line("a_lab_comes_up_again_after_anything_and_leaves_nothing") else {
        return;
    };
    // Where the system itself has them already, they are taken all the same.
    let _listeners = TAKEN.map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    an_interrupted_bootstrap_is_gone_on_with(&lab).await;
    taken_ports_are_left_to_their_owner(&lab);
    a_second_bootstrap_changes_nothing(&lab).await;
    a_killed_component_comes_back(&lab).await;
    a_lab_without_its_supervisor_is_taken_over(&lab).await;
    a_killed_lab_comes_back(&lab);
    the_commands_show_the_lab(&lab).await;
    no_confirmed_message_was_lost(&lab).await;
    a_lab_that_is_down_leaves_nothing(&lab);
}

async fn an_interrupted_bootstrap_is_gone_on_with(lab: &CommandLine) {
    let output = tempfile::NamedTempFile::new().unwrap();
    let mut command = lab.command(&["bootstrap", "--engine", "host"]);
    command
        .stdout(Stdio::null())
        .stderr(output.reopen().unwrap());
    let mut bootstrap = Group::start(&mut command);
    wait::until("units to be started", async || {
        let log = lab.lab().join("log/pods");
        fs::read_dir(&log).map(drop)
    })
    .await;
    bootstrap.interrupt();
    let status = bootstrap.wait();
    let said = fs::read_to_string(output.path()).unwrap();
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("cargo xtask bootstrap` goes on"), "{said}");

    lab.run(&["status"]).with_code(0);
    let Said { stdout, stderr, .. } = lab
        .run(&["bootstrap", "--engine", "host", "--timings"])
        .with_code(0);
    assert!(stderr.contains("is up after"), "{stderr}");
    assert!(
        stdout.contains(" s  ") && stdout.contains('#'),
        "a boot chart: {stdout}"
    );
}

fn taken_ports_are_left_to_their_owner(lab: &CommandLine) {
    let ports = ports(lab);
    for (owner, port) in &ports {
        assert!(!TAKEN.contains(port), "{owner} has {port}");
    }
    let said = lab
        .run(&["bootstrap", "--engine", "host"])
        .with_code(0)
        .stderr;
    assert!(
        said.contains("rabbitmq/amqp listens on") && said.contains("because 5672 is taken"),
        "{said}"
    );
    prove(lab);
}

async fn a_second_bootstrap_changes_nothing(lab: &CommandLine) {
    let before = ask(lab, Request::Status).await;
    let said = lab
        .run(&["bootstrap", "--engine", "host"])
        .with_code(0)
        .stderr;
    assert!(said.contains("nothing changed"), "{said}");
    let after = ask(lab, Request::Status).await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((before.pid, &before.unit), (after.pid, &after.unit));
    }
}

async fn a_killed_component_comes_back(lab: &CommandLine) {
    for component in [Component::Consumer, Component::Rabbitmq] {
        let killed = process_id(lab, component).await;
        kill(killed);
        lab.run(&["bootstrap", "--engine", "host"]).with_code(0);
        assert_ne!(process_id(lab, component).await, killed, "{component}");
    }
    prove(lab);
}

async fn a_lab_without_its_supervisor_is_taken_over(lab: &CommandLine) {
    let orphan = process_id(lab, Component::Prometheus).await;
    let supervisor = find_leftovers(instance(lab))
        .into_iter()
        .find(|process| process.command == "xtask")
        .expect("a supervisor");
    kill(supervisor.pid);
    let status = lab.run(&["status"]);
    assert!(status.stdout.contains("down"), "{status:?}");

    let said = lab
        .run(&["bootstrap", "--engine", "host"])
        .with_code(0)
        .stderr;
    assert!(said.contains("left running"), "{said}");
    assert_ne!(process_id(lab, Component::Prometheus).await, orphan);
    prove(lab);
}

fn a_killed_lab_comes_back(lab: &CommandLine) {
    // The supervisor goes first, or it would start again what is killed after it.
    let mut processes = find_leftovers(instance(lab));
    processes.sort_by_key(|process| process.command != "xtask");
    for process in processes {
        kill(process.pid);
    }
    lab.run(&["bootstrap", "--engine", "host"]).with_code(0);
    prove(lab);
}

async fn the_commands_show_the_lab(lab: &CommandLine) {
    let status = lab.run(&["status", "--json"]).with_code(0).json();
    let components = status["components"].as_array().unwrap();
    assert_eq!(components.len(), Component::ALL.len());
    let ready = components
        .iter()
        .filter(|component| component["state"] == "ready");
    assert!(ready.count() >= 7, "{status}");

    let logs = lab.run(&["logs", "consumer"]).with_code(0).stdout;
    for line in logs.lines() {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    assert!(logs.contains("tracer message consumed"), "{logs}");

    let credentials = lab.run(&["credentials"]).with_code(0).stdout;
    let password = fs::read_to_string(lab.lab().join("secrets/rabbitmq-operator")).unwrap();
    assert!(credentials.contains(password.trim()), "{credentials}");

    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().to_str().unwrap();
    // A service at 100 messages a second is at work in few of its samples, and in some profiles in none.
    wait::until("a profile with frames of the publisher", async || {
        let profile = lab.run(&["profile", "producer", "--seconds", "3", "--output", output]);
        let paths = profile.with_code(0).stdout;
        let graph = paths.lines().find(|path| path.ends_with(".svg")).unwrap();
        let graph = fs::read_to_string(graph).unwrap();
        graph
            .contains("messaging::publisher")
            .then_some(())
            .ok_or("no Rust frames")
    })
    .await;
}

/// Through all the kills above.
async fn no_confirmed_message_was_lost(lab: &CommandLine) {
    let component = Component::Producer;
    ask(lab, Request::Stop { component }).await;
    wait::until("the consumer to have everything", async || {
        let ledger = ledger(lab);
        match ledger.lost_count() {
            0 => Ok(()),
            lost => Err(format!("{lost} of {} missing", ledger.confirmed)),
        }
    })
    .await;
    assert!(ledger(lab).confirmed > 0);
}

fn a_lab_that_is_down_leaves_nothing(lab: &CommandLine) {
    let directory = lab.lab();
    let (instance, ports) = (instance(lab), ports(lab));
    assert!(!processes_of(&directory).is_empty(), "a lab runs");
    assert!(
        ports.iter().any(|(_, port)| listens(*port)),
        "a lab listens"
    );

    lab.run(&["down"]).with_code(0);
    assert_eq!(processes_of(&directory), Vec::<String>::new());
    assert_eq!(find_leftovers(instance), []);
    for (owner, port) in ports {
        assert!(!listens(port), "{owner} still listens on {port}");
    }
    assert!(directory.join("data").is_dir(), "down keeps the data");

    lab.run(&["down", "--purge"]).with_code(0);
    assert!(!directory.exists());
}

/// Kills a process without a warning; it may have gone with its parent.
fn kill(process_id: i32) {
    if let Some(process) = Pid::from_raw(process_id) {
        let _ = kill_process(process, Signal::KILL);
    }
}
