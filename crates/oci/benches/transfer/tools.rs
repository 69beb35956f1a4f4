//! Who takes part, and what each is told to do.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::Serialize;

use crate::{
    images::{Images, REPOSITORY, TAG},
    ours,
};

/// What is done with all images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Task {
    Pull,
    Push,
    Copy,
}

impl Task {
    pub(crate) const ALL: [Self; 3] = [Self::Pull, Self::Push, Self::Copy];
}

impl fmt::Display for Task {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Pull => "registry -> layout",
            Self::Push => "layout -> registry",
            Self::Copy => "registry -> registry",
        })
    }
}

/// Where a run takes images from, and where it puts them.
pub(crate) struct Places<'a> {
    pub(crate) images: &'a Images,
    /// The registry that has them.
    pub(crate) source: &'a str,
    /// The registry that has nothing.
    pub(crate) target: &'a str,
    /// The directory of a layout that is still to be made.
    pub(crate) layout: &'a Path,
    pub(crate) work: &'a Path,
}

/// What moves images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Ours,
    Skopeo,
    /// One process for all images; it writes no layouts.
    SkopeoSync,
    Crane,
}

impl Tool {
    /// Those that are on this machine.
    pub(crate) fn present() -> Vec<Self> {
        let all = [Self::Ours, Self::Skopeo, Self::SkopeoSync, Self::Crane];
        let is_here = |tool: &Self| tool.program().is_none_or(|name| find(name).is_some());
        all.into_iter().filter(is_here).collect()
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "lab bundle",
            Self::Skopeo => "skopeo copy",
            Self::SkopeoSync => "skopeo sync",
            Self::Crane => "crane",
        }
    }

    /// Its program; that of this crate is the bench.
    pub(crate) fn program(self) -> Option<&'static str> {
        match self {
            Self::Ours => None,
            Self::Skopeo | Self::SkopeoSync => Some("skopeo"),
            Self::Crane => Some("crane"),
        }
    }

    pub(crate) fn does(self, task: Task) -> bool {
        self != Self::SkopeoSync || task == Task::Copy
    }

    /// The commands of a task as a script of the shell.
    pub(crate) fn script(self, task: Task, places: &Places<'_>) -> anyhow::Result<String> {
        let names: Vec<&str> = places.images.names.keys().map(String::as_str).collect();
        let each = |command: &dyn Fn(&str) -> String| {
            let commands = names.iter().map(|name| command(name) + "\n");
            commands.collect::<String>()
        };
        let together = places.images.layout.root().display();
        let (apart, layout) = (places.images.apart.display(), places.layout.display());
        let from = |name: &str| format!("{}/{REPOSITORY}/{name}:{TAG}", places.source);
        let to = |name: &str| format!("{}/{REPOSITORY}/{name}:{TAG}", places.target);
        Ok(match (self, task) {
            (Self::Ours, _) => {
                let bundle = places.images.bundle.display();
                let (word, from, to) = match task {
                    Task::Pull => ("create", places.source.to_owned(), layout.to_string()),
                    Task::Push => ("load", bundle.to_string(), places.target.to_owned()),
                    Task::Copy => ("copy", places.source.to_owned(), places.target.to_owned()),
                };
                let program = env::current_exe().context("this program has no path")?;
                let (program, command) = (program.display(), ours::COMMAND);
                format!(
                    "{program} {command} {word} {from} {to} {}\n",
                    names.join(" ")
                )
            }
            (Self::Skopeo, Task::Pull) => each(&|name| {
                format!(
                    "skopeo --insecure-policy copy --quiet --preserve-digests --src-tls-verify=false docker://{} oci:{layout}:{name}",
                    from(name)
                )
            }),
            (Self::Skopeo, Task::Push) => each(&|name| {
                format!(
                    "skopeo --insecure-policy copy --quiet --preserve-digests --dest-tls-verify=false oci:{together}:{name} docker://{}",
                    to(name)
                )
            }),
            (Self::Skopeo, Task::Copy) => each(&|name| {
                format!(
                    "skopeo --insecure-policy copy --quiet --preserve-digests --src-tls-verify=false --dest-tls-verify=false docker://{} docker://{}",
                    from(name),
                    to(name)
                )
            }),
            (Self::SkopeoSync, _) => {
                let list = places.work.join("sync.yaml");
                fs::write(&list, sync(places.source, &names)).context("cannot write sync.yaml")?;
                format!(
                    "skopeo --insecure-policy sync --preserve-digests --src yaml --dest docker --dest-tls-verify=false {} {}/{REPOSITORY}\n",
                    list.display(),
                    places.target
                )
            }
            (Self::Crane, Task::Pull) => each(&|name| {
                format!(
                    "crane pull --insecure --format oci --annotate-ref {} {layout}",
                    from(name)
                )
            }),
            (Self::Crane, Task::Push) => {
                each(&|name| format!("crane push --insecure {apart}/{name} {}", to(name)))
            }
            (Self::Crane, Task::Copy) => {
                each(&|name| format!("crane copy --insecure {} {}", from(name), to(name)))
            }
        })
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// The list that `skopeo sync` reads.
fn sync(registry: &str, names: &[&str]) -> String {
    let images = names.iter();
    let images = images.map(|name| format!("    {REPOSITORY}/{name}: [\"{TAG}\"]\n"));
    let images: String = images.collect();
    format!("{registry}:\n  tls-verify: false\n  images:\n{images}")
}

/// A program on `PATH`.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let candidates = env::split_paths(&path).map(|directory| directory.join(name));
    candidates.into_iter().find(|candidate| candidate.is_file())
}
