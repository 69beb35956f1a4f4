//! Where this command works: the workspace or installation it belongs to, and the lab it means.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use lab::Lab;

use crate::{
    cli::Cli,
    failure::{Exit, Failure},
    invocation,
};

/// The paths of one invocation.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The lab that the command is about.
    pub lab: Lab,
    /// The directory that holds `manifests/`: the workspace this program was built from, or where it is installed.
    pub root: PathBuf,
    /// Whether `root` is a workspace, whose workload is built by cargo.
    pub is_workspace: bool,
    /// The directory of this program, in which the workload's programs lie too.
    pub programs: PathBuf,
    /// The directory of all labs.
    pub state: PathBuf,
    /// Certificate authorities that registries are trusted by, besides those of the system.
    pub ca_file: Option<PathBuf>,
}

impl Setting {
    /// Finds out where this program belongs.
    ///
    /// # Errors
    /// When `--root` names a directory without manifests.
    pub fn of(cli: &Cli) -> anyhow::Result<Self> {
        let program = env::current_exe().context("cannot find this program's own path")?;
        let programs = program
            .parent()
            .context("this program has no directory")?
            .to_owned();
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        let (root, is_workspace) = match (&cli.root, invocation::installation(), workspace) {
            (Some(root), _, _) => (installation(root)?, false),
            // What is installed is used as it was installed, also where its sources are still there.
            (None, Some(root), _) => (root, false),
            (None, None, Some(root)) if root.join("manifests").is_dir() => (root.to_owned(), true),
            _ => (programs.join("../share/lab"), false),
        };
        let state = match &cli.state {
            Some(state) => std::path::absolute(state)
                .with_context(|| format!("cannot use {} for state", state.display()))?,
            None if is_workspace => root.join(".lab"),
            None => env::current_dir()
                .context("cannot find the current directory")?
                .join(".lab"),
        };
        Ok(Self {
            lab: Lab::at(&state, &cli.name),
            root,
            is_workspace,
            programs,
            state,
            ca_file: cli.ca_file.clone(),
        })
    }

    /// The same with another directory that holds `manifests/` and `images/`.
    pub fn installed_at(&self, root: PathBuf) -> Self {
        Self {
            root,
            is_workspace: false,
            ..self.clone()
        }
    }
}

/// The directory of an installation that the user names.
fn installation(root: &Path) -> anyhow::Result<PathBuf> {
    let root = std::path::absolute(root)
        .with_context(|| format!("cannot use {} as an installation", root.display()))?;
    if root.join("manifests").is_dir() {
        return Ok(root);
    }
    Err(Failure::new(
        Exit::Missing,
        format!(
            "{} is no installation of the lab: it has no directory manifests",
            root.display()
        ),
    )
    .hint("name the directory that holds manifests/ and images/, or leave --root and LAB_ROOT out")
    .into())
}
