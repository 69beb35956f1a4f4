//! The container engine and kind, as far as a lab asks them: what they have, in memory, and the two real servers behind it.

mod docker;
mod kind;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{Answer, Question};
use crate::{
    api_server::{ApiServer, Programs},
    registry::Registry,
};

type Labels = BTreeMap<String, String>;

/// A container.
#[derive(Debug, Default)]
pub struct Container {
    /// Its labels.
    pub labels: Labels,
    /// The image that it was made of.
    pub image: String,
    /// `created`, `running` or `exited`.
    pub state: &'static str,
    /// Its network.
    pub network: String,
    /// Its volume.
    volume: Option<String>,
}

/// What should go wrong.
#[derive(Clone, Debug)]
enum Fault {
    /// The program ends with this code and these words.
    Says(u8, String),
    /// The program does not end, and leaves half of what it does.
    Hangs,
    /// The program says that all is well, and nothing happens.
    Nothing,
}

/// What the container engine and kind have.
pub struct Engine {
    /// Networks by name.
    pub networks: BTreeMap<String, Labels>,
    /// Volumes by name.
    pub volumes: BTreeMap<String, Labels>,
    /// Containers by name.
    pub containers: BTreeMap<String, Container>,
    /// Images that were handed over as archives, by name, each with its configuration's digest.
    pub images: BTreeMap<String, String>,
    /// Files that were written into containers, by their paths.
    pub files: BTreeMap<String, String>,
    /// Every command so far.
    pub commands: Vec<String>,
    /// The configuration of the cluster that was made last.
    pub config: String,
    /// The API server of the cluster.
    pub api: Option<ApiServer>,
    /// Further lines of the registry's configuration, which may name files that it finds in the folder.
    pub registry_settings: fn(&Path) -> String,
    registry: Option<Registry>,
    faults: Vec<(String, Fault)>,
    registry_program: PathBuf,
    cluster_programs: Programs,
    home: PathBuf,
}

/// The label by which kind finds its nodes.
const CLUSTER: &str = "io.x-k8s.kind.cluster";

fn ok(stdout: impl Into<String>) -> Answer {
    Answer {
        stdout: stdout.into(),
        ..Answer::default()
    }
}

fn no(stderr: impl Into<String>) -> Answer {
    Answer {
        code: 1,
        stderr: format!("{}\n", stderr.into()),
        ..Answer::default()
    }
}

impl Engine {
    pub(super) fn new(registry: PathBuf, cluster: Programs, home: PathBuf) -> Self {
        Self {
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            containers: BTreeMap::new(),
            images: BTreeMap::new(),
            files: BTreeMap::new(),
            commands: Vec::new(),
            config: String::new(),
            api: None,
            registry_settings: |_| String::new(),
            registry: None,
            faults: Vec::new(),
            registry_program: registry,
            cluster_programs: cluster,
            home,
        }
    }

    /// From now on commands that begin so end with this code and these words.
    pub fn fail(&mut self, command: &str, code: u8, words: &str) {
        let fault = Fault::Says(code, format!("{words}\n"));
        self.faults.push((command.to_owned(), fault));
    }

    /// From now on commands that begin so do not end.
    pub fn hang(&mut self, command: &str) {
        self.faults.push((command.to_owned(), Fault::Hangs));
    }

    /// From now on commands that begin so do nothing and say that all is well.
    pub fn idle(&mut self, command: &str) {
        self.faults.push((command.to_owned(), Fault::Nothing));
    }

    /// From now on everything works.
    pub fn mend(&mut self) {
        self.faults.clear();
    }

    /// A container that was made but could not be started, as `docker run` leaves it.
    pub fn leave_created(&mut self, name: &str, network: &str) {
        let container = Container {
            state: "created",
            network: network.to_owned(),
            ..Container::default()
        };
        self.containers.insert(name.to_owned(), container);
    }

    /// The registry's container goes; the next bootstrap makes another.
    pub fn make_registry_anew(&mut self) {
        self.registry = None;
        self.containers
            .retain(|_, container| container.labels.contains_key(CLUSTER));
    }

    /// The machine was switched off and on: nothing runs, all is there.
    pub fn stop_all(&mut self) {
        for container in self.containers.values_mut() {
            container.state = "exited";
        }
        if let Some(registry) = &mut self.registry {
            registry.end();
        }
        if let Some(api) = &mut self.api {
            api.stop();
        }
    }

    /// What there is, each as `kind name`.
    pub fn has(&self) -> Vec<String> {
        let named = |kind: &str, names: Vec<&String>| {
            let names = names.into_iter();
            names
                .map(|name| format!("{kind} {name}"))
                .collect::<Vec<_>>()
        };
        [
            named("container", self.containers.keys().collect()),
            named("network", self.networks.keys().collect()),
            named("volume", self.volumes.keys().collect()),
        ]
        .concat()
    }

    /// What the program says; nothing for a program that does not end.
    pub(super) fn answer(&mut self, question: &Question) -> Option<Answer> {
        let line = question.line();
        self.commands.push(line.clone());
        let fault = self
            .faults
            .iter()
            .find(|(command, _)| line.starts_with(command));
        match fault.map(|(_, fault)| fault.clone()) {
            Some(Fault::Says(code, stderr)) => {
                return Some(Answer {
                    code,
                    stderr,
                    ..Answer::default()
                });
            }
            Some(Fault::Nothing) => return Some(ok("")),
            Some(Fault::Hangs) => {
                if line.starts_with("kind create cluster") {
                    self.add_node(option(&words(question), "--name"), question);
                }
                return None;
            }
            None => {}
        }
        let words = words(question);
        Some(match (question.program.as_str(), words.as_slice()) {
            ("docker", ["info"]) => ok("Server Version: 29\n"),
            ("docker", ["network", rest @ ..]) => self.named("network", rest),
            ("docker", ["volume", rest @ ..]) => self.named("volume", rest),
            ("docker", ["ps", rest @ ..]) => self.ps(rest),
            ("docker", ["load"]) => self.load(&question.input),
            ("docker", ["image", "inspect", "--format", "{{.Id}}", name]) => self.image_id(name),
            ("docker", ["run", rest @ ..]) => self.run(rest),
            ("docker", ["start", name]) => self.start(name),
            ("docker", ["rm", .., name]) => self.remove(name),
            ("docker", ["exec", "--interactive", name, "sh", "-c", script]) => {
                self.exec(name, script, &question.input)
            }
            ("kind", ["get", "clusters"]) => self.clusters(),
            ("kind", ["create", "cluster", rest @ ..]) => self.create(rest, question),
            ("kind", ["delete", "cluster", "--name", name]) => self.delete(name),
            ("kind", ["export", "kubeconfig", rest @ ..]) => self.export(rest),
            _ => Answer {
                code: 64,
                stderr: format!("the test does not know `{line}`\n"),
                ..Answer::default()
            },
        })
    }
}

fn words(question: &Question) -> Vec<&str> {
    question.arguments.iter().map(String::as_str).collect()
}

/// The value behind an option; empty where it is not given.
fn option<'a>(words: &[&'a str], name: &str) -> &'a str {
    let mut words = words.iter().skip_while(|word| **word != name);
    words.nth(1).copied().unwrap_or_default()
}
