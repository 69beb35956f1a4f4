//! Free disk, where the lab's state and where the container engine's images lie.

use std::path::Path;

use super::finding::{Finding, Scope};

/// The broker blocks publishers below 256 MB of free disk; logs and metrics of some days come on top.
const STATE_BYTES: u64 = 2 << 30;

/// The images are 3.5 GB unpacked, the registry holds most of them once more, and the pods' data comes on top.
const IMAGES_BYTES: u64 = 15 << 30;

/// What is free at a path, or at the deepest directory above it that exists.
pub(super) fn free(path: &Path) -> Option<u64> {
    let existing = path.ancestors().find(|path| path.exists())?;
    let space = rustix::fs::statvfs(existing).ok()?;
    Some(space.f_bavail * space.f_frsize)
}

pub(super) fn of_state(available: u64) -> Finding {
    let found = format!("{} MiB available", available >> 20);
    if available >= STATE_BYTES {
        return Finding::good(Scope::Every, "disk", found);
    }
    Finding::less(
        Scope::Every,
        "disk",
        format!("{found}; the lab's state wants {} MiB", STATE_BYTES >> 20),
        "free some, or keep the lab elsewhere with --state DIR",
    )
}

/// `program` is the container engine, `root` where it keeps images and volumes.
pub(super) fn of_images(program: &str, root: &Path, available: u64) -> Finding {
    let found = format!("{} MiB available in {}", available >> 20, root.display());
    if available >= IMAGES_BYTES {
        return Finding::good(Scope::Kind, "disk", found);
    }
    Finding::less(
        Scope::Kind,
        "disk",
        format!("{found}; images and data want {} MiB", IMAGES_BYTES >> 20),
        format!(
            "`{program} system df` shows what it holds; `{program} image prune` frees what no container uses"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::{super::finding::told, *};

    #[test]
    fn a_shortage_of_state_comes_with_its_fix() {
        assert_eq!(
            told([of_state(2 << 30)]),
            "every ok disk: 2048 MiB available"
        );
        assert_eq!(
            told([of_state(1 << 30)]),
            "every less disk: 1024 MiB available; the lab's state wants 2048 MiB\n  \
             free some, or keep the lab elsewhere with --state DIR"
        );
    }

    #[test]
    fn a_shortage_of_room_for_images_comes_with_its_fix() {
        let said = |available| told([of_images("docker", Path::new("/var/lib/docker"), available)]);
        assert_eq!(
            said(15 << 30),
            "kind ok disk: 15360 MiB available in /var/lib/docker"
        );
        assert_eq!(
            said(1 << 30),
            "kind less disk: 1024 MiB available in /var/lib/docker; images and data want 15360 MiB\n  \
             `docker system df` shows what it holds; `docker image prune` frees what no container uses"
        );
    }

    #[test]
    fn a_directory_that_is_not_there_yet_is_measured_at_its_parent() {
        let parent = tempfile::tempdir().unwrap();
        assert!(free(&parent.path().join("not/yet")).is_some());
    }
}
