//! What an earlier lab has left on the container engine and in the kubeconfig: things with a lab's label, clusters and
//! contexts with a lab's name, and no lab to go with them.

use std::{collections::BTreeMap, fs, path::Path};

use lab::Lab;

use super::{
    ask::{Answer, ask},
    finding::{Finding, Scope},
};

/// The labels that the kind engine gives to all that it makes.
const NAME: &str = "lab.name";
const INSTANCE: &str = "lab.instance";

/// kind's names of labs' clusters.
const CLUSTER: &str = "lab-";

/// Something with a lab's label.
#[derive(Debug, PartialEq, Eq)]
struct Thing {
    kind: &'static str,
    name: String,
    runs: bool,
    lab: String,
    instance: String,
}

/// A lab that exists; one whose state cannot be read owns all of its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    name: String,
    instance: Option<String>,
}

/// What the programs said.
#[derive(Debug)]
pub(super) struct Said {
    things: Vec<(&'static str, Answer)>,
    clusters: Answer,
    contexts: Answer,
}

impl Said {
    pub(super) async fn read(program: &str) -> Self {
        let filter = format!("label={NAME}");
        let list = async |arguments: &[&str], format| {
            let arguments: Vec<&str> = arguments
                .iter()
                .copied()
                .chain(["--filter", &filter, "--format", format])
                .collect();
            ask(program, &arguments).await
        };
        let (containers, networks, volumes, clusters, contexts) = tokio::join!(
            list(&["ps", "--all"], "{{.Names}}\t{{.State}}\t{{.Labels}}"),
            list(&["network", "ls"], "{{.Name}}\t\t{{.Labels}}"),
            list(&["volume", "ls"], "{{.Name}}\t\t{{.Labels}}"),
            ask("kind", &["get", "clusters"]),
            ask("kubectl", &["config", "get-contexts", "--output", "name"]),
        );
        Self {
            things: vec![
                ("container", containers),
                ("network", networks),
                ("volume", volumes),
            ],
            clusters,
            contexts,
        }
    }
}

/// The labs under a state directory.
pub(super) fn labs(state: &Path) -> Vec<Known> {
    fs::read_dir(state)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .map(|name| match Lab::at(state, &name).load() {
            Ok(file) => Known {
                instance: Some(
                    file.map(|file| file.instance.to_string())
                        .unwrap_or_default(),
                ),
                name,
            },
            Err(_) => Known {
                name,
                instance: None,
            },
        })
        .collect()
}

/// What is left of a lab, and how to be rid of it.
#[derive(Default)]
struct Left {
    what: Vec<String>,
    commands: Vec<String>,
    runs: bool,
}

pub(super) fn judge(program: &str, said: &Said, labs: &[Known], state: &Path) -> Vec<Finding> {
    let mut left: BTreeMap<String, Left> = BTreeMap::new();
    let clusters: Option<Vec<&str>> = said.clusters.said().map(|text| text.lines().collect());
    for cluster in clusters.iter().flatten() {
        if let Some(lab) = cluster.strip_prefix(CLUSTER)
            && !labs.iter().any(|known| known.name == lab)
        {
            let left = left.entry(lab.to_owned()).or_default();
            left.what.push(format!("cluster {cluster}"));
            left.commands
                .push(format!("kind delete cluster --name {cluster}"));
        }
    }
    for (kind, answer) in &said.things {
        for thing in answer
            .said()
            .into_iter()
            .flat_map(|text| things(kind, text))
        {
            if labs.iter().any(|known| owns(known, &thing)) {
                continue;
            }
            let left = left.entry(thing.lab).or_default();
            left.runs |= thing.runs;
            left.what.push(format!("{kind} {}", thing.name));
            left.commands.push(match *kind {
                "container" => format!("{program} rm --force --volumes {}", thing.name),
                _ => format!("{program} {kind} rm {}", thing.name),
            });
        }
    }
    // Which contexts lead nowhere is known only where kind says what there is.
    for (context, clusters) in said
        .contexts
        .said()
        .into_iter()
        .flat_map(str::lines)
        .filter_map(|context| Some((context, clusters.as_ref()?)))
    {
        if let Some(cluster) = context.strip_prefix("kind-")
            && let Some(lab) = cluster.strip_prefix(CLUSTER)
            && !clusters.contains(&cluster)
        {
            let left = left.entry(lab.to_owned()).or_default();
            left.what.push(format!("context {context}"));
            left.commands
                .push(format!("kubectl config delete-context {context}"));
        }
    }
    if left.is_empty() {
        // Nothing can be said where nothing was seen.
        let seen = said
            .things
            .iter()
            .any(|(_, answer)| answer.said().is_some());
        return seen
            .then(|| Finding::good(Scope::Kind, "leftovers", "none"))
            .into_iter()
            .collect();
    }
    left.into_iter()
        .map(|(lab, left)| finding(&lab, &left, state))
        .collect()
}

fn finding(lab: &str, left: &Left, state: &Path) -> Finding {
    let runs = if left.runs { ", running" } else { "" };
    Finding::less(
        Scope::Kind,
        format!("leftovers of {lab}"),
        format!(
            "{}{runs}; {} has no lab for it",
            left.what.join(", "),
            state.display()
        ),
        format!(
            "`cargo xtask down --state DIR` of the lab that owns it; if there is none: `{}`",
            left.commands.join("; ")
        ),
    )
}

fn owns(known: &Known, thing: &Thing) -> bool {
    match &known.instance {
        Some(instance) => *instance == thing.instance,
        None => known.name == thing.lab,
    }
}

/// Lines of name, state and labels.
fn things(kind: &'static str, text: &str) -> Vec<Thing> {
    text.lines()
        .filter_map(|line| {
            let mut cells = line.split('\t');
            let (name, state, labels) = (cells.next()?, cells.next()?, cells.next()?);
            Some(Thing {
                kind,
                name: name.to_owned(),
                runs: state == "running",
                lab: label(labels, NAME)?.to_owned(),
                instance: label(labels, INSTANCE).unwrap_or_default().to_owned(),
            })
        })
        .collect()
}

/// A label's value: Docker writes `a=b,c=d`, Podman may write `map[a:b c:d]`.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels
        .trim_start_matches("map[")
        .trim_end_matches(']')
        .split([',', ' '])
        .find_map(|label| label.strip_prefix(name)?.strip_prefix(['=', ':']))
}

#[cfg(test)]
mod tests {
    use super::{super::finding::told, *};

    const LABELS: &str = "lab.instance=id-1,lab.name=old";

    fn said(containers: &str, clusters: Answer, contexts: &str) -> Said {
        Said {
            things: vec![
                ("container", Answer::Said(containers.to_owned())),
                ("network", Answer::Said(format!("lab-old\t\t{LABELS}"))),
                ("volume", Answer::Missing),
            ],
            clusters,
            contexts: Answer::Said(contexts.to_owned()),
        }
    }

    fn known(name: &str, instance: Option<&str>) -> Known {
        Known {
            name: name.to_owned(),
            instance: instance.map(str::to_owned),
        }
    }

    fn judged(said: &Said, labs: &[Known]) -> String {
        told(judge("docker", said, labs, Path::new("/home/a/.lab")))
    }

    #[test]
    fn what_no_lab_owns_is_named_with_the_commands_that_remove_it() {
        let said = said(
            &format!("lab-old-registry\trunning\t{LABELS}"),
            Answer::Said("lab-old\nmine".to_owned()),
            "kind-lab-old\nkind-lab-older\nkind-mine",
        );
        assert_eq!(
            judged(&said, &[known("new", Some("id-2"))]),
            "kind less leftovers of old: cluster lab-old, container lab-old-registry, network lab-old, running; \
             /home/a/.lab has no lab for it\n  \
             `cargo xtask down --state DIR` of the lab that owns it; if there is none: `kind delete cluster --name lab-old; \
             docker rm --force --volumes lab-old-registry; docker network rm lab-old`\n\
             kind less leftovers of older: context kind-lab-older; /home/a/.lab has no lab for it\n  \
             `cargo xtask down --state DIR` of the lab that owns it; if there is none: `kubectl config delete-context kind-lab-older`"
        );
    }

    #[test]
    fn what_a_lab_owns_is_none() {
        let said = said("", Answer::Said("lab-old".to_owned()), "kind-lab-old");
        let expected = "kind ok leftovers: none";
        assert_eq!(judged(&said, &[known("old", Some("id-1"))]), expected);
        // Its state cannot be read, so nothing of its name is anybody else's.
        assert_eq!(judged(&said, &[known("old", None)]), expected);
    }

    #[test]
    fn a_lab_of_the_same_name_made_anew_does_not_own_the_old_ones() {
        let said = said("", Answer::Missing, "kind-lab-gone");
        assert_eq!(
            judged(&said, &[known("old", Some("id-2"))]),
            "kind less leftovers of old: network lab-old; /home/a/.lab has no lab for it\n  \
             `cargo xtask down --state DIR` of the lab that owns it; if there is none: `docker network rm lab-old`"
        );
    }

    #[test]
    fn nothing_is_said_where_nothing_answers() {
        let said = Said {
            things: vec![("container", Answer::Silent)],
            clusters: Answer::Missing,
            contexts: Answer::Missing,
        };
        assert_eq!(judged(&said, &[]), "");
    }

    #[test]
    fn labels_are_read_as_docker_and_podman_write_them() {
        assert_eq!(label("lab.instance=1,lab.name=a", NAME), Some("a"));
        assert_eq!(label("map[lab.instance:1 lab.name:a]", NAME), Some("a"));
        assert_eq!(label("lab.names=b", NAME), None);
    }

    #[test]
    fn the_labs_of_a_state_directory_are_known_by_their_identity() {
        let state = tempfile::tempdir().unwrap();
        let file = Lab::at(state.path(), "one")
            .load_or_create(&lab::Engine::Host)
            .unwrap();
        fs::create_dir(state.path().join("two")).unwrap();
        fs::write(state.path().join("two/lab.json"), "{").unwrap();
        let mut labs = labs(state.path());
        labs.sort_by(|one, other| one.name.cmp(&other.name));
        let instance = file.instance.to_string();
        assert_eq!(labs, [known("one", Some(&instance)), known("two", None)]);
    }
}
