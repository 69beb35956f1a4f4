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
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use blueprint::Component;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::HostError;

/// The version of the directory's layout; another version is refused rather than guessed at.
const VERSION: u64 = 1;

/// `lab.json`: a lab's identity and what it must remember between commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabFile {
    version: u64,
    /// The lab's name.
    pub name: String,
    /// Marks every process of the lab in its environment, and names its pods' log directories.
    pub instance: Uuid,
    /// The port of each `component/port` on 127.0.0.1, kept from one bootstrap to the next.
    pub ports: BTreeMap<String, u16>,
}

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
    pub fn load(&self) -> Result<Option<LabFile>, HostError> {
        let path = self.directory.join("lab.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(HostError::file("read", path)(error)),
        };
        let malformed = |error: serde_json::Error| HostError::Malformed {
            path: path.clone(),
            reason: error.to_string(),
        };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(malformed)?;
        let found = value["version"].as_u64().unwrap_or(0);
        if found != VERSION {
            return Err(HostError::Version {
                path: self.directory.clone(),
                found,
                expected: VERSION,
            });
        }
        serde_json::from_value(value).map(Some).map_err(malformed)
    }

    /// Reads `lab.json`, or makes the directory and a new identity.
    ///
    /// # Errors
    /// As [`Lab::load`], and when the directory cannot be written.
    pub fn load_or_create(&self) -> Result<LabFile, HostError> {
        self.create_directory()?;
        if let Some(file) = self.load()? {
            return Ok(file);
        }
        let file = LabFile {
            version: VERSION,
            name: self.name.clone(),
            instance: Uuid::now_v7(),
            ports: BTreeMap::new(),
        };
        self.save(&file)?;
        Ok(file)
    }

    /// Replaces `lab.json` as a whole.
    ///
    /// # Errors
    /// When it cannot be written; the former file then stands.
    pub fn save(&self, file: &LabFile) -> Result<(), HostError> {
        let path = self.directory.join("lab.json");
        let mut text = serde_json::to_vec_pretty(file).map_err(|error| HostError::Malformed {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        text.push(b'\n');
        write_atomically(&path, &text, 0o644)
    }

    /// Takes the lock of commands that change the lab, held until the file is dropped.
    ///
    /// # Errors
    /// [`HostError::Busy`] when another command holds it.
    pub fn lock_for_change(&self) -> Result<File, HostError> {
        self.create_directory()?;
        self.try_lock("change.lock")?
            .ok_or_else(|| HostError::Busy {
                path: self.directory.clone(),
            })
    }

    /// Takes the lock that the one supervisor holds for its life; `None` when a supervisor is alive.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn lock_for_supervision(&self) -> Result<Option<File>, HostError> {
        self.create_directory()?;
        self.try_lock("supervisor.lock")
    }

    fn try_lock(&self, name: &str) -> Result<Option<File>, HostError> {
        let path = self.directory.join(name);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(HostError::file("open", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(HostError::file("lock", path)(errno.into())),
        }
    }

    /// Removes the lab's directory, and its parent when that held nothing else.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn purge(&self) -> Result<(), HostError> {
        match fs::remove_dir_all(&self.directory) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(HostError::file("remove", &self.directory)(error)),
        }
        if let Some(state) = self.directory.parent() {
            match fs::remove_dir(state) {
                Ok(()) => {}
                // Another lab lives beside this one.
                Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
                Err(error) => return Err(HostError::file("remove", state)(error)),
            }
        }
        Ok(())
    }

    fn create_directory(&self) -> Result<(), HostError> {
        // Configuration and data hold credentials of the lab, so nobody else looks inside.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(HostError::file("create", &self.directory))
    }
}

/// Writes a file beside its place and renames it there, so that a reader or a crash sees the old or the new one.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> Result<(), HostError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(HostError::file("create", parent))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let staged = path.with_file_name(name);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&staged)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&staged, path));
    written.map_err(|error| {
        // Best effort: the write's own error is the one to report.
        let _ = fs::remove_file(&staged);
        HostError::file("write", path)(error)
    })
}

/// Writes a file only when its content differs, and says whether it did; an unchanged file keeps its time stamp.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool, HostError> {
    match fs::read(path) {
        Ok(present) if present == bytes => Ok(false),
        _ => write_atomically(path, bytes, 0o600).map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_made_once_and_read_back() {
        let state = tempfile::tempdir().unwrap();
        let lab = Lab::at(state.path(), "default");
        assert_eq!(lab.load().unwrap(), None);
        let made = lab.load_or_create().unwrap();
        assert_eq!(lab.load_or_create().unwrap(), made);
    }

    #[test]
    fn state_of_another_version_is_refused_with_the_way_out() {
        let state = tempfile::tempdir().unwrap();
        let lab = Lab::at(state.path(), "default");
        fs::create_dir_all(lab.directory()).unwrap();
        fs::write(lab.directory().join("lab.json"), r#"{"version":0}"#).unwrap();
        let error = lab.load_or_create().unwrap_err();
        assert!(matches!(
            error,
            HostError::Version {
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
        assert!(matches!(lab.lock_for_change(), Err(HostError::Busy { .. })));
        drop(held);
        lab.lock_for_change().unwrap();
    }

    #[test]
    fn purge_leaves_no_state_directory_unless_another_lab_lives_in_it() {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join(".lab");
        let (one, two) = (Lab::at(&state, "one"), Lab::at(&state, "two"));
        one.load_or_create().unwrap();
        two.load_or_create().unwrap();
        one.purge().unwrap();
        assert!(two.exists());
        two.purge().unwrap();
        assert!(!state.exists());
    }

    #[test]
    fn a_failed_write_leaves_the_former_file() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("file");
        write_atomically(&path, b"former", 0o600).unwrap();
        // A directory stands where the staged file would be made.
        fs::create_dir(
            state
                .path()
                .join(format!("file.{}.new", std::process::id())),
        )
        .unwrap();
        assert!(write_atomically(&path, b"new", 0o600).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"former");
    }
}
