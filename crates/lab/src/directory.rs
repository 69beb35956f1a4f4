//! A lab's directory: what lies where, its identity, and the locks that keep two commands apart.
//!
//! ```text
//! .lab/NAME/lab.json              identity, ports, version of this layout
//!           secrets/ACCOUNT       one generated password each, mode 0600
//!           config/COMPONENT/     configuration as the component reads it
//!           data/COMPONENT/       what the component stores
//!           log/pods/…            output of every unit in CRI format, laid out as on a Kubernetes node
//!           supervisor.{log,lock,sock}
//!           change.lock           held by bootstrap and down
//! ```

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use blueprint::Component;
use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use crate::{
    LabError,
    file::{Engine, LabFile, VERSION},
    write::write_atomically,
};

/// A lab's directory.
#[derive(Clone, Debug)]
pub struct Lab {
    name: String,
    directory: PathBuf,
}

impl Lab {
    /// The lab `name` under `state`, whether it exists or not.
    pub fn at(state: &Path, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            directory: state.join(name),
        }
    }

    /// The lab's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The lab's directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where a component's rendered configuration lies.
    pub fn config(&self, component: Component) -> PathBuf {
        self.directory.join("config").join(component.name())
    }

    /// Where a component keeps its data.
    pub fn data(&self, component: Component) -> PathBuf {
        self.directory.join("data").join(component.name())
    }

    /// Where generated passwords lie.
    pub fn secrets(&self) -> PathBuf {
        self.directory.join("secrets")
    }

    /// Where pod logs lie, laid out as `/var/log/pods` on a node.
    pub fn pod_logs(&self) -> PathBuf {
        self.directory.join("log/pods")
    }

    /// The log directory of one container of a component's only pod.
    pub fn container_logs(&self, component: Component, container: &str, instance: Uuid) -> PathBuf {
        let pod = format!(
            "{}_{}-0_{instance}",
            component.namespace(),
            component.name()
        );
        self.pod_logs().join(pod).join(container)
    }

    /// The supervisor's own log.
    pub fn supervisor_log(&self) -> PathBuf {
        self.directory.join("supervisor.log")
    }

    /// The socket on which the supervisor listens.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("supervisor.sock")
    }

    /// Whether anything of the lab exists on disk.
    pub fn exists(&self) -> bool {
        self.directory.exists()
    }

    /// Reads `lab.json`; `None` when the lab was never bootstrapped.
    ///
    /// # Errors
    /// When the file cannot be read, is malformed, or was written by another version.
    pub fn load(&self) -> Result<Option<LabFile>, LabError> {
        let path = self.directory.join("lab.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LabError::file("read", path)(error)),
        };
        let malformed = |error: serde_json::Error| LabError::Malformed {
            path: path.clone(),
            reason: error.to_string(),
        };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(malformed)?;
        let found = value["version"].as_u64().unwrap_or(0);
        if found != VERSION {
            return Err(LabError::Version {
                path: self.directory.clone(),
                found,
                expected: VERSION,
            });
        }
        serde_json::from_value(value).map(Some).map_err(malformed)
    }

    /// Reads `lab.json`, or makes the directory and a new identity for a lab that `engine` runs.
    ///
    /// # Errors
    /// As [`Lab::load`], when the directory cannot be written, and when another engine runs the lab.
    pub fn load_or_create(&self, engine: &Engine) -> Result<LabFile, LabError> {
        self.create_directory()?;
        if let Some(file) = self.load()? {
            if file.engine.name() != engine.name() {
                return Err(LabError::OtherEngine {
                    path: self.directory.clone(),
                    found: file.engine.name(),
                    asked: engine.name(),
                });
            }
            return Ok(file);
        }
        let file = LabFile {
            version: VERSION,
            name: self.name.clone(),
            instance: Uuid::now_v7(),
            ports: BTreeMap::new(),
            engine: engine.clone(),
        };
        self.save(&file)?;
        Ok(file)
    }

    /// Replaces `lab.json` as a whole.
    ///
    /// # Errors
    /// When it cannot be written; the former file then stands.
    pub fn save(&self, file: &LabFile) -> Result<(), LabError> {
        let path = self.directory.join("lab.json");
        let mut text = serde_json::to_vec_pretty(file).map_err(|error| LabError::Malformed {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        text.push(b'\n');
        write_atomically(&path, &text, 0o644)
    }

    /// Takes the lock of commands that change the lab, held until the file is dropped.
    ///
    /// # Errors
    /// [`LabError::Busy`] when another command holds it.
    pub fn lock_for_change(&self) -> Result<File, LabError> {
        self.create_directory()?;
        self.try_lock("change.lock")?.ok_or_else(|| LabError::Busy {
            path: self.directory.clone(),
        })
    }

    /// Takes the lock that the one supervisor holds for its life; `None` when a supervisor is alive.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn lock_for_supervision(&self) -> Result<Option<File>, LabError> {
        self.create_directory()?;
        self.try_lock("supervisor.lock")
    }

    fn try_lock(&self, name: &str) -> Result<Option<File>, LabError> {
        let path = self.directory.join(name);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(LabError::file("open", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(LabError::file("lock", path)(errno.into())),
        }
    }

    /// Removes the lab's directory, and its parent when that held nothing else.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn purge(&self) -> Result<(), LabError> {
        match fs::remove_dir_all(&self.directory) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(LabError::file("remove", &self.directory)(error)),
        }
        if let Some(state) = self.directory.parent() {
            match fs::remove_dir(state) {
                Ok(()) => {}
                // Another lab lives beside this one.
                Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
                Err(error) => return Err(LabError::file("remove", state)(error)),
            }
        }
        Ok(())
    }

    fn create_directory(&self) -> Result<(), LabError> {
        // Configuration and data hold credentials of the lab, so nobody else looks inside.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(LabError::file("create", &self.directory))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cluster;

    #[test]
    fn an_identity_is_made_once_and_read_back() {
        let state = tempfile::tempdir().unwrap();
        let lab = Lab::at(state.path(), "default");
        assert_eq!(lab.load().unwrap(), None);
        let made = lab.load_or_create(&Engine::Host).unwrap();
        assert_eq!(lab.load_or_create(&Engine::Host).unwrap(), made);
    }

    #[test]
    fn a_lab_is_not_handed_to_another_engine() {
        let state = tempfile::tempdir().unwrap();
        let lab = Lab::at(state.path(), "default");
        lab.load_or_create(&Engine::Host).unwrap();
        let kind = Engine::Kind(Cluster {
            context: "kind-lab-default".to_owned(),
            registry: "127.0.0.1:5001".to_owned(),
            pulled_from: "lab-default-registry:5000".to_owned(),
            plain_http: true,
            namespace_prefix: String::new(),
            storage_class: None,
        });
        let error = lab.load_or_create(&kind).unwrap_err();
        let told = error.to_string();
        assert!(
            told.ends_with("run by the host engine, not by the kind engine"),
            "{told}"
        );
        assert!(error.hint().unwrap().contains("--name"));
    }

    #[test]
    fn state_of_another_version_is_refused_with_the_way_out() {
        let state = tempfile::tempdir().unwrap();
        let lab = Lab::at(state.path(), "default");
        fs::create_dir_all(lab.directory()).unwrap();
        fs::write(lab.directory().join("lab.json"), r#"{"version":0}"#).unwrap();
        let error = lab.load_or_create(&Engine::Host).unwrap_err();
        assert!(matches!(
            error,
            LabError::Version {
                found: 0,
                expected: 1,
                ..
            }
        ));
        assert!(
            error
                .hint()
                .unwrap()
                .contains("down --purge --name default")
        );
    }

    #[test]
    fn a_second_change_is_told_that_the_lab_is_busy() {
        let state = tempfile::tempdir().unwrap();
        let lab = Lab::at(state.path(), "default");
        let held = lab.lock_for_change().unwrap();
        assert!(matches!(lab.lock_for_change(), Err(LabError::Busy { .. })));
        drop(held);
        lab.lock_for_change().unwrap();
    }

    #[test]
    fn purge_leaves_no_state_directory_unless_another_lab_lives_in_it() {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join(".lab");
        let (one, two) = (Lab::at(&state, "one"), Lab::at(&state, "two"));
        one.load_or_create(&Engine::Host).unwrap();
        two.load_or_create(&Engine::Host).unwrap();
        one.purge().unwrap();
        assert!(two.exists());
        two.purge().unwrap();
        assert!(!state.exists());
    }
}
