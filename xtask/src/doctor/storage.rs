//! The file system below the container engine's images.

use std::{fs, path::Path};

use super::{
    container_engine,
    finding::{Finding, Scope},
};

/// The kubelet in a node reads the state of its file system and does not start on these.
const TROUBLE: [&str; 2] = ["zfs", "btrfs"];

/// The type of the file system that holds the engine's data root, where that lies on this machine.
pub(super) fn read(root: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    root.exists().then(|| type_of(&mounts, root)).flatten()
}

/// The type of the deepest mount that holds `path` (proc_mounts(5): device, mount point, type).
fn type_of(mounts: &str, path: &Path) -> Option<String> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((Path::new(words.next()?), words.next()?))
        })
        .filter(|(point, _)| path.starts_with(point))
        .max_by_key(|(point, _)| point.components().count())
        .map(|(_, kind)| kind.to_owned())
}

pub(super) fn judge(facts: &container_engine::Facts, below: Option<&str>) -> Option<Finding> {
    let found = [
        Some(facts.storage.as_str()),
        facts.backing.as_deref(),
        below,
    ]
    .into_iter()
    .flatten()
    .find_map(|name| TROUBLE.into_iter().find(|trouble| name == *trouble))?;
    Some(Finding::less(
        Scope::Kind,
        "container storage",
        format!(
            "{} lies on {found}, on which the control plane may never get healthy",
            facts.root.display()
        ),
        "move it to ext4 or xfs: `\"data-root\"` in /etc/docker/daemon.json (`graphroot` in \
         /etc/containers/storage.conf), then restart the engine",
    ))
}

#[cfg(test)]
mod tests {
    use super::{super::finding::told, *};

    const MOUNTS: &str = "/dev/sda / ext4 rw 0 0\ntank/docker /var/lib/docker zfs rw 0 0\n";

    #[test]
    fn the_deepest_mount_counts() {
        let kind = |path: &str| type_of(MOUNTS, Path::new(path));
        assert_eq!(kind("/var/lib/docker").as_deref(), Some("zfs"));
        assert_eq!(kind("/var/lib/docker2").as_deref(), Some("ext4"));
    }

    #[test]
    fn zfs_and_btrfs_are_trouble_wherever_they_are_told() {
        let facts = |storage: &str, backing: Option<&str>| container_engine::Facts {
            storage: storage.to_owned(),
            backing: backing.map(str::to_owned),
            root: "/var/lib/docker".into(),
            ..container_engine::Facts::default()
        };
        let expected = |kind: &str| {
            format!(
                "kind less container storage: /var/lib/docker lies on {kind}, on which the control plane may never get healthy\n  \
                 move it to ext4 or xfs: `\"data-root\"` in /etc/docker/daemon.json (`graphroot` in \
                 /etc/containers/storage.conf), then restart the engine"
            )
        };
        let said = |facts, below| told(judge(&facts, below));
        assert_eq!(said(facts("zfs", None), None), expected("zfs"));
        assert_eq!(
            said(facts("overlay2", Some("btrfs")), None),
            expected("btrfs")
        );
        assert_eq!(said(facts("overlay2", None), Some("zfs")), expected("zfs"));
        assert_eq!(said(facts("overlay2", Some("extfs")), Some("ext4")), "");
    }
}
