//! Files that are replaced as a whole: a reader or a crash sees the former one or the new one.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use crate::LabError;

/// Writes a file beside its place and renames it there, so that a reader or a crash sees the old or the new one.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> Result<(), LabError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(LabError::file("create", parent))?;
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
        LabError::file("write", path)(error)
    })
}

/// Writes a file only when its content differs, and says whether it did; an unchanged file keeps its time stamp.
pub fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool, LabError> {
    match fs::read(path) {
        Ok(present) if present == bytes => Ok(false),
        _ => write_atomically(path, bytes, 0o600).map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
