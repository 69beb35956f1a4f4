//! Digests of what a unit reads when it starts, so that a changed program or configuration restarts it.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use sha2::{Digest as _, Sha256};

/// Collects what makes a unit the same unit.
#[derive(Default)]
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    /// Adds a program by its identity on disk: rebuilding it changes size, time or inode.
    pub(crate) fn program(mut self, path: &Path) -> Self {
        if let Ok(meta) = fs::metadata(path) {
            let identity = format!("{} {} {}", meta.ino(), meta.size(), meta.mtime_nsec());
            self.0.update(identity);
            self.0.update(meta.mtime().to_le_bytes());
        }
        self
    }

    /// Adds configuration as it was rendered.
    pub(crate) fn bytes(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.update((bytes.as_ref().len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// The digest, in hexadecimal.
    pub(crate) fn finish(self) -> String {
        self.0
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}
