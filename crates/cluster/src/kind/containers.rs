//! Docker or Podman, driven by its command line: networks, volumes and containers with the lab's label.

use std::{
    collections::BTreeMap,
    io,
    process::{Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use oci::{Bundle, ImageSource, OciError, Reference, docker_archive, manifest::Descriptor};
use serde::Deserialize;
use uuid::Uuid;
use xshell::{Shell, cmd};

use crate::{
    ClusterError,
    run::{run, run_with},
};

/// A question to an engine that answers.
const QUICK: Duration = Duration::from_secs(30);

/// A pull over a slow line.
const PULL: Duration = Duration::from_secs(1800);

/// Marks everything of a lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The lab's name.
    pub lab: String,
    /// The lab's identity: a lab of the same name and of another directory has another.
    pub instance: Uuid,
}

impl Labels {
    const LAB: &str = "lab.name";
    const INSTANCE: &str = "lab.instance";

    fn arguments(&self) -> [String; 4] {
        [
            "--label".to_owned(),
            format!("{}={}", Self::LAB, self.lab),
            "--label".to_owned(),
            format!("{}={}", Self::INSTANCE, self.instance),
        ]
    }

    fn filter(&self) -> String {
        format!("label={}={}", Self::INSTANCE, self.instance)
    }
}

/// A container engine that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerEngine {
    program: &'static str,
}

/// What `inspect` tells of a network or a volume.
#[derive(Debug, Deserialize)]
struct Inspected {
    #[serde(rename = "Labels", alias = "labels", default)]
    labels: Option<BTreeMap<String, String>>,
}

impl ContainerEngine {
    /// Docker where it answers, else Podman.
    ///
    /// # Errors
    /// What Docker says, when neither answers.
    pub async fn find() -> Result<Self, ClusterError> {
        let docker = Self { program: "docker" };
        let error = match docker.answers().await {
            Ok(()) => return Ok(docker),
            Err(error) => error,
        };
        let podman = Self { program: "podman" };
        podman.answers().await.map(|()| podman).map_err(|_| error)
    }

    async fn answers(&self) -> Result<(), ClusterError> {
        self.command(&["info"], QUICK).await.map(drop)
    }

    /// The program's name, which kind's `KIND_EXPERIMENTAL_PROVIDER` takes too.
    pub fn program(&self) -> &'static str {
        self.program
    }

    pub(super) async fn command(
        &self,
        arguments: &[&str],
        bound: Duration,
    ) -> Result<String, ClusterError> {
        let (shell, program) = (shell()?, self.program);
        run(cmd!(shell, "{program} {arguments...}"), bound).await
    }

    /// Makes a network for the lab; returns whether it was not there.
    ///
    /// # Errors
    /// When the engine refuses, or another lab has a network of this name.
    pub async fn ensure_network(&self, name: &str, labels: &Labels) -> Result<bool, ClusterError> {
        self.ensure("network", name, labels).await
    }

    /// Makes a volume for the lab; returns whether it was not there.
    ///
    /// # Errors
    /// When the engine refuses, or another lab has a volume of this name.
    pub async fn ensure_volume(&self, name: &str, labels: &Labels) -> Result<bool, ClusterError> {
        self.ensure("volume", name, labels).await
    }

    async fn ensure(&self, kind: &str, name: &str, labels: &Labels) -> Result<bool, ClusterError> {
        let listed = self
            .command(&[kind, "ls", "--format", "{{.Name}}"], QUICK)
            .await?;
        if listed.lines().any(|line| line == name) {
            let said = self.command(&[kind, "inspect", name], QUICK).await?;
            let inspected: Vec<Inspected> = serde_json::from_str(&said).map_err(|error| {
                ClusterError::malformed(format!("`{} {kind} inspect {name}`", self.program), error)
            })?;
            let instance = inspected
                .first()
                .and_then(|found| found.labels.as_ref()?.get(Labels::INSTANCE));
            if instance != Some(&labels.instance.to_string()) {
                return Err(ClusterError::Foreign {
                    what: format!("the {kind} {name}"),
                });
            }
            return Ok(false);
        }
        let [a, b, c, d] = &labels.arguments();
        self.command(&[kind, "create", a, b, c, d, name], QUICK)
            .await?;
        Ok(true)
    }

    /// The state of a container, for example `running` or `exited`; `None` when there is none of this name.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn state(&self, name: &str) -> Result<Option<String>, ClusterError> {
        let filter = format!("name=^{name}$");
        let arguments = ["ps", "--all", "--filter", &filter, "--format", "{{.State}}"];
        let said = self.command(&arguments, QUICK).await?;
        Ok(said.lines().next().map(str::to_owned))
    }

    /// Starts a container that was stopped.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn start(&self, name: &str) -> Result<(), ClusterError> {
        self.command(&["start", name], QUICK).await.map(drop)
    }

    /// Makes a container and starts it, pulling its image where it is not there.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn run_container(
        &self,
        name: &str,
        labels: &Labels,
        arguments: &[&str],
        image: &str,
    ) -> Result<(), ClusterError> {
        let labels = labels.arguments();
        let all: Vec<&str> = ["run", "--detach", "--name", name]
            .into_iter()
            .chain(labels.iter().map(String::as_str))
            .chain(arguments.iter().copied())
            .chain([image])
            .collect();
        self.command(&all, PULL).await.map(drop)
    }

    /// Whether the engine has this very image under this name. It tells an image by its configuration's digest, and with
    /// containerd's store by its manifest's.
    ///
    /// # Errors
    /// When the bundle's manifest cannot be read.
    pub async fn has_image(
        &self,
        name: &Reference,
        source: &dyn ImageSource,
        image: &Descriptor,
    ) -> Result<bool, ClusterError> {
        let name = name.to_string();
        let arguments = ["image", "inspect", "--format", "{{.Id}}", &name];
        // Without such an image it fails, as it does for any other reason: then `load` says which.
        let Ok(id) = self.command(&arguments, QUICK).await else {
            return Ok(false);
        };
        let id = id.trim().trim_start_matches("sha256:");
        let parts = source.parts(image)?;
        let known = parts.blobs.last().into_iter().chain([image]);
        Ok(known.into_iter().any(|known| known.digest.hex() == id))
    }

    /// Hands the engine an image as an archive.
    ///
    /// # Errors
    /// When the image is damaged, or the engine refuses it.
    pub async fn load(
        &self,
        name: &Reference,
        source: Arc<Bundle>,
        image: Descriptor,
    ) -> Result<(), ClusterError> {
        let (program, name) = (self.program, name.to_string());
        let shown = format!("{program} load");
        let failed = |said: String| ClusterError::Program {
            command: shown.clone(),
            said,
        };
        let work = move || -> Result<Result<Output, io::Error>, ClusterError> {
            let mut child = match Command::new(program)
                .arg("load")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
            {
                Ok(child) => child,
                Err(error) => return Ok(Err(error)),
            };
            let exported = match child.stdin.take() {
                Some(stdin) => docker_archive::export(&*source, &image, &name, stdin),
                None => Ok(()),
            };
            let output = child.wait_with_output();
            // An engine that refuses the image reads no further, and says why.
            match (&output, exported) {
                (Ok(output), Err(error)) if output.status.success() => Err(error.into()),
                (_, Err(error)) if !matches!(error, OciError::File { .. }) => Err(error.into()),
                _ => Ok(output),
            }
        };
        let output = match tokio::task::spawn_blocking(work).await {
            Ok(output) => output?.map_err(|error| failed(error.to_string()))?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(failed(said))
    }

    /// Runs a program in a container, with an input.
    ///
    /// # Errors
    /// When the program fails.
    pub async fn exec(
        &self,
        container: &str,
        program: &[&str],
        input: &str,
    ) -> Result<String, ClusterError> {
        let (shell, engine) = (shell()?, self.program);
        run_with(
            cmd!(
                shell,
                "{engine} exec --interactive {container} {program...}"
            ),
            QUICK,
            input,
        )
        .await
    }

    /// What carries the lab's label: containers, networks, volumes, each as `kind name`.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn labelled(
        &self,
        labels: &Labels,
    ) -> Result<Vec<(&'static str, String)>, ClusterError> {
        let filter = labels.filter();
        let mut found = Vec::new();
        for (kind, arguments, format) in [
            ("container", ["ps", "--all"], "{{.Names}}"),
            ("network", ["network", "ls"], "{{.Name}}"),
            ("volume", ["volume", "ls"], "{{.Name}}"),
        ] {
            let [a, b] = arguments;
            let said = self
                .command(&[a, b, "--filter", &filter, "--format", format], QUICK)
                .await?;
            found.extend(said.lines().map(|name| (kind, name.to_owned())));
        }
        Ok(found)
    }

    /// Removes something that [`Self::labelled`] has found.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn remove(&self, kind: &str, name: &str) -> Result<(), ClusterError> {
        match kind {
            "container" => {
                self.command(&["rm", "--force", "--volumes", name], QUICK)
                    .await
            }
            _ => self.command(&[kind, "rm", name], QUICK).await,
        }
        .map(drop)
    }
}

pub(super) fn shell() -> Result<Shell, ClusterError> {
    Shell::new().map_err(|error| ClusterError::malformed("the current directory", error))
}
