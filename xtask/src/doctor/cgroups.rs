//! Control groups: Kubernetes runs on version 2 only.

use std::fs;

use super::finding::{Finding, Scope};

/// `/proc/self/mounts`, where there is one.
pub(super) fn read() -> Option<String> {
    fs::read_to_string("/proc/self/mounts").ok()
}

/// The engine's own word counts: it may run in a virtual machine. Without an engine this machine's mounts tell.
pub(super) fn judge(engine: Option<&str>, mounts: Option<&str>) -> Option<Finding> {
    let version = match engine {
        Some(version) if !version.is_empty() => version,
        _ => version_of(mounts?)?,
    };
    if version != "1" {
        return Some(Finding::good(Scope::Kind, "cgroups", format!("v{version}")));
    }
    Some(Finding::less(
        Scope::Kind,
        "cgroups",
        "v1; from 1.35 on a kubelet does not start on it (failCgroupV1)",
        "boot with `systemd.unified_cgroup_hierarchy=1` on the kernel's command line",
    ))
}

/// By what is mounted: a hierarchy of version 1 makes the machine one of version 1, even with version 2 beside it.
fn version_of(mounts: &str) -> Option<&'static str> {
    let has = |kind: &str| {
        mounts
            .lines()
            .any(|line| line.split(' ').nth(2) == Some(kind))
    };
    if has("cgroup") {
        Some("1")
    } else if has("cgroup2") {
        Some("2")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{super::finding::told, *};

    const V1: &str = "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
    const V2: &str = "cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n";

    fn said(engine: Option<&str>, mounts: Option<&str>) -> String {
        told(judge(engine, mounts))
    }

    #[test]
    fn version_1_is_refused_by_the_kubelet() {
        let expected = "kind less cgroups: v1; from 1.35 on a kubelet does not start on it (failCgroupV1)\n  \
                        boot with `systemd.unified_cgroup_hierarchy=1` on the kernel's command line";
        assert_eq!(said(None, Some(V1)), expected);
        assert_eq!(said(Some("1"), Some(V2)), expected);
    }

    #[test]
    fn version_2_is_well_and_what_cannot_be_seen_is_not_spoken_of() {
        assert_eq!(said(None, Some(V2)), "kind ok cgroups: v2");
        assert_eq!(said(Some("2"), None), "kind ok cgroups: v2");
        assert_eq!(said(None, None), "");
        assert_eq!(said(Some(""), Some("proc /proc proc rw 0 0\n")), "");
    }
}
