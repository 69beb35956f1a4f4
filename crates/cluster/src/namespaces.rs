//! The namespaces of a lab: the blueprint's own, or the same with a prefix on a cluster that has others of those names.

use std::path::Path;

use blueprint::Component;
use regex::{Captures, Regex};

/// The namespace that every cluster has, and that no lab renames.
const SYSTEM: &str = "kube-system";

/// A lab's namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    prefix: String,
}

impl Namespaces {
    /// Namespaces with this prefix; an empty one changes nothing.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
        }
    }

    /// The namespace of a component.
    pub fn of(&self, component: Component) -> String {
        self.named(component.namespace())
    }

    /// A namespace of the blueprint as this lab names it.
    pub fn named(&self, namespace: &str) -> String {
        match namespace {
            SYSTEM => SYSTEM.to_owned(),
            _ => format!("{}{namespace}", self.prefix),
        }
    }

    /// A file of the manifests with this lab's namespaces in it, wherever files name one: as an object's namespace, in host
    /// names, in selectors, in queries, and as objects of their own.
    pub(crate) fn rename(&self, file: &Path, text: String) -> String {
        if self.prefix.is_empty() {
            return text;
        }
        let mut names: Vec<&str> = Component::ALL
            .into_iter()
            .map(Component::namespace)
            .filter(|name| *name != SYSTEM)
            .collect();
        // Longest first: one is the beginning of another.
        names.sort_unstable_by_key(|name| std::cmp::Reverse(name.len()));
        names.dedup();
        let names = names.join("|");
        let mut patterns = vec![
            format!(r"(\.)({names})(\.svc\b)"),
            format!(r#"(?m)(^\s*(?:- )?namespace:\s+"?)({names})("?\s*$)"#),
            format!(r"(kubernetes\.io/metadata\.name:\s+)({names})(\b)"),
            format!(r#"(namespace(?:=|!=|=~|!~)\\?")({names})(\\?")"#),
            format!(r"(kind: Namespace\n\s+name: )({names})(\s)"),
        ];
        if file
            .file_name()
            .is_some_and(|name| name == "namespace.yaml")
        {
            patterns.push(format!(r"(?m)(^  name: )({names})($)"));
        }
        let renamed = patterns.iter().fold(text, |text, pattern| {
            replace(pattern, &text, |found| {
                format!("{}{}{}{}", &found[1], self.prefix, &found[2], &found[3])
            })
        });
        // Prometheus' discovery, which lists the namespaces that it looks into.
        replace(
            &format!(r"names: \[((?:{names})(?:, (?:{names}))*)\]"),
            &renamed,
            |found| {
                let listed: Vec<_> = found[1].split(", ").map(|name| self.named(name)).collect();
                format!("names: [{}]", listed.join(", "))
            },
        )
    }
}

fn replace(pattern: &str, text: &str, by: impl Fn(&Captures<'_>) -> String) -> String {
    Regex::new(pattern)
        .expect("a pattern made of literals")
        .replace_all(text, |found: &Captures<'_>| by(found))
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(file: &str, text: &str) -> String {
        Namespaces::new("demo-").rename(Path::new(file), text.to_owned())
    }

    #[test]
    fn every_way_of_naming_a_namespace_is_found() {
        let table = [
            ("a.yaml", "namespace: minio\n", "namespace: demo-minio\n"),
            (
                "a.yaml",
                "    namespace: rabbitmq-rust-app\n",
                "    namespace: demo-rabbitmq-rust-app\n",
            ),
            (
                "a.yaml",
                "namespace: kube-system\n",
                "namespace: kube-system\n",
            ),
            (
                "a.yml",
                "http://loki.loki.svc:3100",
                "http://loki.demo-loki.svc:3100",
            ),
            (
                "a.yaml",
                "kubernetes.io/metadata.name: rabbitmq-rust-app\n",
                "kubernetes.io/metadata.name: demo-rabbitmq-rust-app\n",
            ),
            (
                "a.json",
                r#"{namespace=\"rabbitmq\"}"#,
                r#"{namespace=\"demo-rabbitmq\"}"#,
            ),
            ("a.yml", "names: [prometheus]", "names: [demo-prometheus]"),
            (
                "a.yml",
                "names: [rabbitmq-rust-app, loki]",
                "names: [demo-rabbitmq-rust-app, demo-loki]",
            ),
            (
                "namespace.yaml",
                "metadata:\n  name: loki\n",
                "metadata:\n  name: demo-loki\n",
            ),
            (
                "service.yaml",
                "metadata:\n  name: loki\n",
                "metadata:\n  name: loki\n",
            ),
            (
                "p.yaml",
                "kind: Namespace\n      name: loki\n",
                "kind: Namespace\n      name: demo-loki\n",
            ),
        ];
        for (file, text, wanted) in table {
            assert_eq!(renamed(file, text), wanted);
        }
    }

    #[test]
    fn without_a_prefix_nothing_changes() {
        let text = "namespace: minio\n".to_owned();
        assert_eq!(
            Namespaces::default().rename(Path::new("a"), text.clone()),
            text
        );
        assert_eq!(Namespaces::default().of(Component::Loki), "loki");
    }
}
