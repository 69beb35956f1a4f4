//! Docker's commands, as far as a lab gives them.

use std::io::Read as _;

use serde_json::{Value, json};

use super::{Answer, CLUSTER, Container, Engine, Labels, no, ok, option};
use crate::registry::Registry;

impl Engine {
    pub(super) fn named(&mut self, kind: &str, words: &[&str]) -> Answer {
        let is_used = |name: &str| {
            self.containers.values().any(|container| {
                container.network == name || container.volume.as_deref() == Some(name)
            })
        };
        let things = match kind {
            "network" => &self.networks,
            _ => &self.volumes,
        };
        match words {
            ["ls", rest @ ..] => {
                let label = option(rest, "--filter").strip_prefix("label=");
                let listed = things.iter().filter(|(_, labels)| has(labels, label));
                ok(listed
                    .map(|(name, _)| format!("{name}\n"))
                    .collect::<String>())
            }
            ["inspect", name] => match things.get(*name) {
                Some(labels) => ok(json!([{ "Name": name, "Labels": labels }]).to_string()),
                None => no(format!(
                    "Error response from daemon: {kind} {name} not found"
                )),
            },
            ["create", rest @ .., name] => {
                let (name, labels) = ((*name).to_owned(), labels(rest));
                match kind {
                    "network" => self.networks.insert(name.clone(), labels),
                    _ => self.volumes.insert(name.clone(), labels),
                };
                ok(format!("{name}\n"))
            }
            ["rm", name] if is_used(name) => no(format!(
                "Error response from daemon: {kind} {name} has active endpoints"
            )),
            ["rm", name] => {
                match kind {
                    "network" => self.networks.remove(*name),
                    _ => self.volumes.remove(*name),
                };
                ok(format!("{name}\n"))
            }
            _ => no(format!("the test does not know `docker {kind} {words:?}`")),
        }
    }

    /// Takes an archive as `docker save` writes it.
    pub(super) fn load(&mut self, archive: &str) -> Answer {
        let mut archive = tar::Archive::new(archive.as_bytes());
        let mut names = Vec::new();
        let mut list = String::new();
        for entry in archive.entries().into_iter().flatten() {
            let Ok(mut entry) = entry else {
                return no("archive/tar: invalid tar header");
            };
            let name = entry.path().map(|path| path.display().to_string());
            let name = name.unwrap_or_default();
            if name == "manifest.json" && entry.read_to_string(&mut list).is_err() {
                return no("invalid manifest.json");
            }
            names.push(name);
        }
        let list: Value = serde_json::from_str(&list).unwrap_or_default();
        for image in list.as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let layers = image["Layers"].as_array().into_iter().flatten().map(text);
            if let Some(lacking) = layers
                .chain([text(&image["Config"])])
                .find(|name| !names.contains(name))
            {
                return no(format!("open {lacking}: no such file or directory"));
            }
            let id = text(&image["Config"]).replace(".json", "");
            self.images.insert(text(&image["RepoTags"][0]), id);
        }
        ok("Loaded image\n")
    }

    pub(super) fn image_id(&self, name: &str) -> Answer {
        match self.images.get(name) {
            Some(id) => ok(format!("sha256:{id}\n")),
            None => no(format!("Error: No such image: {name}")),
        }
    }

    pub(super) fn ps(&self, words: &[&str]) -> Answer {
        let filter = option(words, "--filter");
        let label = filter.strip_prefix("label=");
        let name = filter
            .strip_prefix("name=^")
            .and_then(|name| name.strip_suffix('$'));
        let listed = self.containers.iter().filter(|(own, container)| {
            name.is_none_or(|name| name == own.as_str()) && has(&container.labels, label)
        });
        let lines = listed.map(|(name, container)| match option(words, "--format") {
            "{{.State}}" => format!("{}\n", container.state),
            _ => format!("{name}\n"),
        });
        ok(lines.collect::<String>())
    }

    pub(super) fn run(&mut self, words: &[&str]) -> Answer {
        let Some(image) = words.last() else {
            return no("\"docker run\" requires at least 1 argument");
        };
        let volume = option(words, "--volume")
            .split(':')
            .next()
            .unwrap_or_default();
        let container = Container {
            labels: labels(words),
            image: (*image).to_owned(),
            state: "running",
            network: option(words, "--network").to_owned(),
            volume: Some(volume.to_owned()),
        };
        let port = option(words, "--publish").split(':').nth(1);
        let port = port
            .and_then(|port| port.parse().ok())
            .expect("a published port");
        let registry = Registry::at(&self.registry_program, port, self.registry_settings);
        self.registry = Some(registry);
        self.containers
            .insert(option(words, "--name").to_owned(), container);
        ok("0123456789abcdef\n")
    }

    pub(super) fn start(&mut self, name: &str) -> Answer {
        let Some(container) = self.containers.get_mut(name) else {
            return no(format!(
                "Error response from daemon: No such container: {name}"
            ));
        };
        container.state = "running";
        match (&mut self.registry, &mut self.api) {
            (_, Some(api)) if container.labels.contains_key(CLUSTER) => api.resume(),
            (Some(registry), _) => registry.resume(&self.registry_program),
            _ => {}
        }
        ok(format!("{name}\n"))
    }

    pub(super) fn remove(&mut self, name: &str) -> Answer {
        match self.containers.remove(name) {
            Some(container) if container.labels.contains_key(CLUSTER) => self.api = None,
            Some(_) => self.registry = None,
            None => {
                return no(format!(
                    "Error response from daemon: No such container: {name}"
                ));
            }
        }
        ok(format!("{name}\n"))
    }

    /// Makes a directory or writes a file, which is all that a lab asks of its node.
    pub(super) fn exec(&mut self, name: &str, script: &str, input: &str) -> Answer {
        let is_running = |container: &Container| container.state == "running";
        if !self.containers.get(name).is_some_and(is_running) {
            return no(format!(
                "Error response from daemon: container {name} is not running"
            ));
        }
        if script.starts_with("mkdir -p -m ") {
            return ok("");
        }
        let path = script
            .split("cat > '")
            .nth(1)
            .and_then(|rest| rest.strip_suffix('\''));
        let Some(path) = path else {
            return no(format!("the test does not know `{script}`"));
        };
        self.files.insert(path.to_owned(), input.to_owned());
        ok("")
    }
}

fn labels(words: &[&str]) -> Labels {
    let pairs = words.windows(2).filter(|pair| pair[0] == "--label");
    pairs
        .filter_map(|pair| pair[1].split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn has(labels: &Labels, wanted: Option<&str>) -> bool {
    wanted
        .and_then(|wanted| wanted.split_once('='))
        .is_none_or(|(key, value)| labels.get(key).is_some_and(|own| own == value))
}
