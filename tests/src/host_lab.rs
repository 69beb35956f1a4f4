//! A lab of the host engine as a test sees it: what is claimed, what runs, and what is left of it.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use blueprint::{Arrow, Component};
use host::{Control, Request, UnitStatus};
use lab::Lab;
use messaging::journal::{Ledger, Records, compare};
use serde_json::Value;
use uuid::Uuid;

use crate::{command_line::CommandLine, require};

/// The arrows that Debian's packages and the workspace alone can prove.
pub const ALWAYS_PROVEN: [Arrow; 11] = [
    Arrow::NodesToNodeExporter,
    Arrow::ServicesToBlackbox,
    Arrow::NodeExporterToPrometheus,
    Arrow::BlackboxToPrometheus,
    Arrow::ProducerToRabbitmq,
    Arrow::RabbitmqToConsumer,
    Arrow::RabbitmqToDeadLetter,
    Arrow::RabbitmqToPrometheus,
    Arrow::ProducerToPrometheus,
    Arrow::ConsumerToPrometheus,
    Arrow::PrometheusToAlertmanager,
];

/// What no lab can do without, each under the names that distributions give it.
const REQUIRED: [&[&str]; 5] = [
    &["rabbitmq-server"],
    &["prometheus"],
    &["alertmanager", "prometheus-alertmanager"],
    &["node_exporter", "prometheus-node-exporter"],
    &["blackbox_exporter", "prometheus-blackbox-exporter"],
];

/// A state directory for the test `test`; `None`, with the test skipped by name, on a machine that can run no lab.
pub fn command_line(test: &str) -> Option<CommandLine> {
    for names in REQUIRED {
        require::any_program(test, names)?;
    }
    Some(CommandLine::default())
}

/// The identity that marks the processes of the lab `default`.
pub fn instance(lab: &CommandLine) -> Uuid {
    let file = lab.lab_file();
    let instance = file["instance"].as_str().expect("an instance");
    instance.parse().expect("a UUID")
}

/// The ports of the lab `default`, by `component/port`.
pub fn ports(lab: &CommandLine) -> Vec<(String, u16)> {
    let file = lab.lab_file();
    let ports = file["ports"].as_object().expect("a map of ports");
    ports
        .iter()
        .map(|(owner, port)| {
            let port = port.as_u64().and_then(|port| u16::try_from(port).ok());
            (owner.clone(), port.expect("a port"))
        })
        .collect()
}

/// Whether something accepts connections on this port of 127.0.0.1.
pub fn listens(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
}

/// Processes that name a path in their arguments or their environment. This sees a lab's processes without relying on
/// the mark by which `down` finds them.
pub fn processes_of(path: &Path) -> Vec<String> {
    let path = path.as_os_str().as_encoded_bytes();
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").expect("/proc");
    processes
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|process| process.file_name().is_some_and(|id| id != own.as_str()))
        .filter(|process| {
            ["cmdline", "environ"].into_iter().any(|file| {
                // It may have ended, or be another user's.
                let said = fs::read(process.join(file)).unwrap_or_default();
                said.windows(path.len()).any(|window| window == path)
            })
        })
        .map(|process| {
            let command = fs::read_to_string(process.join("comm")).unwrap_or_default();
            format!("{} ({})", process.display(), command.trim_end())
        })
        .collect()
}

/// Asks the supervisor of the lab `default`.
pub async fn ask(lab: &CommandLine, request: Request) -> Vec<UnitStatus> {
    let directory = lab.lab();
    let state = directory.parent().expect("a state directory");
    let control = Control::of(&Lab::at(state, "default"));
    control.ask(&request).await.expect("a supervisor")
}

/// The process id of a component's main process.
pub async fn process_id(lab: &CommandLine, component: Component) -> i32 {
    ask(lab, Request::Status)
        .await
        .into_iter()
        .find(|status| status.unit.name == component.name())
        .and_then(|status| status.pid)
        .unwrap_or_else(|| panic!("{component} does not run"))
}

/// What the two journals of the lab `default` say together.
pub fn ledger(lab: &CommandLine) -> Ledger {
    let read = |component: Component| {
        let path = lab
            .lab()
            .join("data")
            .join(component.name())
            .join("journal");
        Records::read(&path).expect("a readable journal")
    };
    compare(&read(Component::Producer), &read(Component::Consumer))
}

/// Runs `verify`, demands that nothing is broken and that what every lab can prove is proven, and returns all that is.
#[track_caller]
pub fn prove(lab: &CommandLine) -> BTreeSet<String> {
    let report = lab.run(&["verify", "--json"]).with_code(0).json();
    let proven = proven(&report);
    for arrow in ALWAYS_PROVEN {
        assert!(
            proven.contains(&arrow.id()),
            "{arrow} is not proven: {report}"
        );
    }
    proven
}

/// The proven arrows of a report that has the documented shape and nothing broken in it.
#[track_caller]
pub fn proven(report: &Value) -> BTreeSet<String> {
    assert_eq!(
        (&report["schema"], &report["engine"]),
        (&1.into(), &"host".into())
    );
    let arrows = report["arrows"].as_array().expect("a list of arrows");
    let ids: Vec<_> = arrows.iter().map(|arrow| arrow["id"].as_str()).collect();
    assert_eq!(
        ids,
        Arrow::ALL
            .map(Arrow::id)
            .each_ref()
            .map(|id| Some(id.as_str()))
    );
    let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let mut proven = BTreeSet::new();
    for arrow in arrows {
        match arrow["status"].as_str() {
            Some("proven") => {
                assert!(is_text(&arrow["evidence"]), "{arrow}");
                proven.extend(arrow["id"].as_str().map(str::to_owned));
            }
            Some("absent") => {
                assert!(
                    is_text(&arrow["reason"]) && is_text(&arrow["remedy"]),
                    "{arrow}"
                );
            }
            _ => panic!("{arrow}"),
        }
    }
    assert_eq!(report["summary"]["proven"], proven.len());
    assert_eq!(report["summary"]["broken"], 0);
    proven
}
