//! kind's commands, as far as a lab gives them.

use std::fs;

use super::{Answer, CLUSTER, Container, Engine, Labels, Question, no, ok, option};
use crate::api_server::{ADMINISTRATOR, ApiServer};

impl Engine {
    pub(super) fn clusters(&self) -> Answer {
        let clusters = self.containers.values();
        let clusters = clusters.filter_map(|container| container.labels.get(CLUSTER));
        ok(clusters.map(|name| format!("{name}\n")).collect::<String>())
    }

    pub(super) fn create(&mut self, words: &[&str], question: &Question) -> Answer {
        let name = option(words, "--name");
        if question.provider.as_deref() != Some("docker") {
            return no("ERROR: kind was not told which container engine to use");
        }
        let has_network = |name: &String| self.networks.contains_key(name);
        if !question.network.as_ref().is_some_and(has_network) {
            return no("ERROR: the network of the lab is not there");
        }
        if self
            .containers
            .contains_key(&format!("{name}-control-plane"))
        {
            return no(format!(
                "ERROR: failed to create cluster: node(s) already exist for a cluster with the name \"{name}\""
            ));
        }
        self.config = fs::read_to_string(option(words, "--config")).expect("kind's configuration");
        self.add_node(name, question);
        let api = ApiServer::of(self.cluster_programs.clone());
        let context = format!("kind-{name}");
        fs::create_dir_all(self.home.join(".kube")).expect("a home");
        let kubeconfig = api.kubeconfig(&context, ADMINISTRATOR);
        fs::write(self.home.join(".kube/config"), kubeconfig).expect("a home");
        self.api = Some(api);
        ok("")
    }

    pub(super) fn add_node(&mut self, name: &str, question: &Question) {
        let node = Container {
            labels: Labels::from([(CLUSTER.to_owned(), name.to_owned())]),
            image: "kindest/node".to_owned(),
            state: "running",
            network: question.network.clone().unwrap_or_default(),
            volume: None,
        };
        self.containers
            .insert(format!("{name}-control-plane"), node);
    }

    pub(super) fn delete(&mut self, name: &str) -> Answer {
        self.remove(&format!("{name}-control-plane"));
        // It is not there when the cluster was never whole.
        let _ = fs::remove_file(self.home.join(".kube/config"));
        ok("")
    }

    pub(super) fn export(&self, words: &[&str]) -> Answer {
        let context = format!("kind-{}", option(words, "--name"));
        let Some(api) = &self.api else {
            return no("ERROR: could not locate any control plane nodes");
        };
        let kubeconfig = api.kubeconfig(&context, ADMINISTRATOR);
        fs::write(option(words, "--kubeconfig"), kubeconfig).expect("a writable folder");
        ok("")
    }
}
