//! inotify: Promtail, the kubelets and systemd in the nodes watch files, and the limits are one for all of a user.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::finding::{Finding, Scope};

/// kind's "Known Issues" asks for these.
const INSTANCES: u64 = 512;
const WATCHES: u64 = 524_288;

/// What is read of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    instances: u64,
    watches: u64,
    in_use: u64,
    /// Processes of other users, which do not show what they have open.
    unseen: u64,
}

impl Facts {
    /// Nothing on a machine without `/proc`.
    pub(super) fn read() -> Option<Self> {
        let limit = |name: &str| -> Option<u64> {
            let path = Path::new("/proc/sys/fs/inotify").join(name);
            fs::read_to_string(path).ok()?.trim().parse().ok()
        };
        let (in_use, unseen) = count(Path::new("/proc"), rustix::process::getuid().as_raw());
        Some(Self {
            instances: limit("max_user_instances")?,
            watches: limit("max_user_watches")?,
            in_use,
            unseen,
        })
    }
}

/// The instances that processes of `user` have open, and how many processes could not be looked at. An instance that a
/// process has handed on to its children counts for each of them.
fn count(proc: &Path, user: u32) -> (u64, u64) {
    let (mut in_use, mut unseen) = (0, 0);
    for process in directories(proc) {
        let name = process.file_name().unwrap_or_default().to_string_lossy();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        match fs::read_dir(process.join("fd")) {
            Ok(open) if owner(&process) == Some(user) => {
                let links = open
                    .flatten()
                    .filter_map(|entry| fs::read_link(entry.path()).ok());
                let instances = links
                    .filter(|link| link.ends_with("anon_inode:inotify"))
                    .count();
                in_use += instances as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => unseen += 1,
            // Of another user, or gone meanwhile.
            Ok(_) | Err(_) => {}
        }
    }
    (in_use, unseen)
}

fn directories(path: &Path) -> Vec<PathBuf> {
    fs::read_dir(path)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}

fn owner(process: &Path) -> Option<u32> {
    fs::metadata(process).ok().map(|metadata| metadata.uid())
}

pub(super) fn judge(facts: Facts) -> Vec<Finding> {
    let Facts {
        instances, watches, ..
    } = facts;
    let unseen = match facts.unseen {
        0 => String::new(),
        1 => "; 1 process of another user could not be looked at".to_owned(),
        many => format!("; {many} processes of other users could not be looked at"),
    };
    let found = format!(
        "{} of {instances} in use by this user{unseen}",
        facts.in_use
    );
    // Nearly used up, a high limit is as bad as a low one.
    let wanted = if facts.in_use * 4 > instances * 3 {
        INSTANCES.max(instances * 2)
    } else {
        INSTANCES
    };
    vec![
        limit(
            "inotify instances",
            "max_user_instances",
            instances,
            wanted,
            found,
        ),
        limit(
            "inotify watches",
            "max_user_watches",
            watches,
            WATCHES,
            watches.to_string(),
        ),
    ]
}

fn limit(subject: &str, name: &str, limit: u64, wanted: u64, found: String) -> Finding {
    if limit >= wanted {
        return Finding::good(Scope::Every, subject, found);
    }
    Finding::less(
        Scope::Every,
        subject,
        format!("{found}; a cluster beside other programs needs {wanted}"),
        format!("`sudo sysctl fs.inotify.{name}={wanted}`"),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::{super::finding::told, *};

    #[test]
    fn the_usual_limits_are_too_low() {
        let facts = Facts {
            instances: 128,
            watches: 65_536,
            in_use: 5,
            unseen: 0,
        };
        assert_eq!(
            told(judge(facts)),
            "every less inotify instances: 5 of 128 in use by this user; a cluster beside other programs needs 512\n  \
             `sudo sysctl fs.inotify.max_user_instances=512`\n\
             every less inotify watches: 65536; a cluster beside other programs needs 524288\n  \
             `sudo sysctl fs.inotify.max_user_watches=524288`"
        );
    }

    #[test]
    fn high_limits_are_well_until_they_are_nearly_used_up() {
        let mut facts = Facts {
            instances: 512,
            watches: 524_288,
            in_use: 5,
            unseen: 210,
        };
        assert_eq!(
            told(judge(facts)),
            "every ok inotify instances: 5 of 512 in use by this user; 210 processes of other users could not be looked at\n\
             every ok inotify watches: 524288"
        );
        (facts.in_use, facts.unseen) = (400, 1);
        assert_eq!(
            told(judge(facts)),
            "every less inotify instances: 400 of 512 in use by this user; 1 process of another user could not be looked at; \
             a cluster beside other programs needs 1024\n  \
             `sudo sysctl fs.inotify.max_user_instances=1024`\n\
             every ok inotify watches: 524288"
        );
    }

    #[test]
    fn instances_are_counted_by_what_processes_have_open() {
        let proc = tempfile::tempdir().unwrap();
        let open = proc.path().join("42/fd");
        fs::create_dir_all(&open).unwrap();
        fs::create_dir_all(proc.path().join("sys/fd")).unwrap();
        symlink("anon_inode:inotify", open.join("3")).unwrap();
        symlink("anon_inode:inotify", open.join("4")).unwrap();
        symlink("/dev/null", open.join("5")).unwrap();
        symlink("anon_inode:inotify", proc.path().join("sys/fd/6")).unwrap();
        let user = owner(proc.path()).unwrap();
        assert_eq!(count(proc.path(), user), (2, 0));
        assert_eq!(count(proc.path(), user + 1), (0, 0));
    }
}
