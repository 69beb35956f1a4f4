//! Unpacking an archive of someone else: nothing outside the directory, nothing but files and directories, not too much.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt as _,
    path::{Component, Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

use crate::OciError;

/// Unpacks a compressed archive into `to`, which is made and must be empty. The archive, uncompressed, must not be
/// larger than `bound_bytes`.
///
/// # Errors
/// [`OciError::Entry`] for a path that leads out of `to`, comes twice or is neither file nor directory;
/// [`OciError::Malformed`] for what is no such archive; [`OciError::File`] for what cannot be written.
pub(crate) fn unpack(
    what: &str,
    compressed: impl Read,
    to: &Path,
    bound_bytes: u64,
) -> Result<(), OciError> {
    fs::create_dir_all(to).map_err(OciError::file("create", to))?;
    let mut there = fs::read_dir(to).map_err(OciError::file("read", to))?;
    if there.next().is_some() {
        return Err(OciError::entry(
            to,
            "the directory to unpack to is not empty",
        ));
    }
    let bounded = Bounded {
        left: bound_bytes,
        content: MultiGzDecoder::new(compressed),
    };
    let malformed = |error: io::Error| OciError::malformed(what, error);
    let mut archive = Archive::new(bounded);
    for entry in archive.entries().map_err(malformed)? {
        let mut entry = entry.map_err(malformed)?;
        let path = entry.path().map_err(malformed)?.into_owned();
        let target = to.join(inside(&path)?);
        let kind = entry.header().entry_type();
        match kind {
            EntryType::Directory => {
                fs::create_dir_all(&target).map_err(OciError::file("create", &target))?;
            }
            EntryType::Regular => {
                if let Some(parent) = target.parent() {
                    fs::create_dir_all(parent).map_err(OciError::file("create", parent))?;
                }
                let mode = entry.header().mode().map_err(malformed)?;
                let mut file = create(&target, mode & 0o111 != 0)?;
                copy(what, &mut entry, &mut file, &target)?;
            }
            // A comment for the whole archive, which `git archive` writes.
            EntryType::XGlobalHeader => {}
            _ => return Err(OciError::entry(&path, format!("it is a {kind:?}"))),
        }
    }
    Ok(())
}

/// The path without `.` components.
fn inside(path: &Path) -> Result<PathBuf, OciError> {
    let mut inside = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => inside.push(name),
            Component::CurDir => {}
            _ => return Err(OciError::entry(path, "it leads out of the directory")),
        }
    }
    Ok(inside)
}

fn create(path: &Path, executable: bool) -> Result<File, OciError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(if executable { 0o755 } else { 0o644 })
        .open(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => OciError::entry(path, "it comes twice"),
            _ => OciError::file("create", path)(error),
        })
}

/// Copies, and tells an unreadable archive from an unwritable file.
fn copy(
    what: &str,
    from: &mut impl Read,
    to: &mut impl io::Write,
    path: &Path,
) -> Result<(), OciError> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from
            .read(&mut buffer)
            .map_err(|error| OciError::malformed(what, error))?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..read])
            .map_err(OciError::file("write", path))?;
    }
}

/// Ends with an error, not silently, where the bound is reached.
struct Bounded<R> {
    left: u64,
    content: R,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(bytes)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other("it is larger than is allowed when unpacked"))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use tar::{Builder, Header};

    use super::*;

    /// An archive of one entry, its path written as it is.
    fn archive(path: &str, kind: EntryType, content: &[u8]) -> Vec<u8> {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        tar.append(&header, content).unwrap();
        tar.into_inner().unwrap().finish().unwrap()
    }

    fn refusal(archive: &[u8], bound_bytes: u64) -> String {
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("to");
        let error = unpack("the layer", archive, &to, bound_bytes).unwrap_err();
        let outside: Vec<_> = fs::read_dir(directory.path()).unwrap().collect();
        assert_eq!(outside.len(), 1, "nothing is outside of the directory");
        error.to_string()
    }

    #[test]
    fn no_entry_leads_out_of_the_directory() {
        for path in ["/etc/passwd", "../up", "a/../../up", ".."] {
            let archive = archive(path, EntryType::Regular, b"x");
            assert!(refusal(&archive, 1 << 20).contains("leads out"), "{path}");
        }
    }

    #[test]
    fn nothing_but_files_and_directories_is_unpacked() {
        for (kind, name) in [
            (EntryType::Symlink, "Symlink"),
            (EntryType::Link, "Link"),
            (EntryType::Char, "Char"),
            (EntryType::Fifo, "Fifo"),
        ] {
            assert!(refusal(&archive("a", kind, b""), 1 << 20).contains(name));
        }
    }

    #[test]
    fn a_small_archive_of_much_is_refused() {
        let bomb = archive("zeros", EntryType::Regular, &vec![0; 4 << 20]);
        assert!(bomb.len() < 1 << 16);
        assert!(refusal(&bomb, 1 << 20).contains("larger than is allowed"));
    }

    #[test]
    fn what_is_cut_short_or_no_archive_is_refused() {
        let whole = archive("a", EntryType::Regular, &[7; 2000]);
        for bytes in [&whole[..whole.len() / 2], b"no archive"] {
            assert!(refusal(bytes, 1 << 20).starts_with("the layer is malformed"));
        }
    }

    #[test]
    fn a_directory_with_something_in_it_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        File::create(directory.path().join("there"))
            .unwrap()
            .write_all(b"x")
            .unwrap();
        let archive = archive("a", EntryType::Regular, b"x");
        let error = unpack("the layer", &archive[..], directory.path(), 1 << 20).unwrap_err();
        assert!(error.to_string().contains("not empty"));
    }
}
