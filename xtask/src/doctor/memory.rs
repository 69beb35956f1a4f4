//! Memory of this machine and of the container engine, and whether the lab fits in.

use std::fs;

use super::finding::{Finding, Scope};

/// The whole lab as processes stays below this, its optional components included.
const HOST_BYTES: u64 = 3 << 30;

/// On kind its pods request 2.2 GiB and may use 6.9; measured without Grafana and the workload they use 2.0 GB, beside
/// Kubernetes' own.
const KIND_BYTES: u64 = 6 << 30;

const FREE: &str = "end what uses it; `ps --sort=-rss -eo rss,comm | head` lists it";

/// What is available on this machine, in bytes; nothing on one without `/proc`.
pub(super) fn read() -> Option<u64> {
    available(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn available(meminfo: &str) -> Option<u64> {
    let kibibytes: u64 = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()?;
    Some(kibibytes * 1024)
}

/// `engine` is what the container engine has in all, which is less than the machine's where it runs in a virtual one.
pub(super) fn judge(available: Option<u64>, engine: Option<u64>) -> Vec<Finding> {
    let host = available.map(|available| {
        let found = format!("{} MiB available", available >> 20);
        if available < HOST_BYTES {
            Finding::less(
                Scope::Host,
                "memory",
                format!(
                    "{found}; the whole lab takes up to {} MiB",
                    HOST_BYTES >> 20
                ),
                FREE,
            )
        } else {
            Finding::good(Scope::Host, "memory", found)
        }
    });
    host.into_iter()
        .chain(engine.map(|engine| of_engine(available, engine)))
        .collect()
}

fn of_engine(available: Option<u64>, engine: u64) -> Finding {
    let wanted = KIND_BYTES >> 20;
    if engine < KIND_BYTES {
        return Finding::less(
            Scope::Kind,
            "memory",
            format!(
                "the container engine has {} MiB in all; the lab's pods and Kubernetes' own want {wanted} MiB",
                engine >> 20
            ),
            "give its machine more: Docker Desktop, Settings, Resources; `podman machine set --memory 8192`",
        );
    }
    let available = available.map_or(engine, |available| available.min(engine));
    let found = format!("{} MiB available to the container engine", available >> 20);
    if available < KIND_BYTES {
        return Finding::less(
            Scope::Kind,
            "memory",
            format!("{found}; the lab's pods and Kubernetes' own want {wanted} MiB"),
            FREE,
        );
    }
    Finding::good(Scope::Kind, "memory", found)
}

#[cfg(test)]
mod tests {
    use super::{super::finding::told, *};

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_is_available_is_read_from_the_kernels_words() {
        let text = "MemTotal:       16384000 kB\nMemFree:  1 kB\nMemAvailable:    2048000 kB\n";
        assert_eq!(available(text), Some(2000 * MIB));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn enough_is_well_for_both() {
        assert_eq!(
            told(judge(Some(9000 * MIB), Some(16_000 * MIB))),
            "host ok memory: 9000 MiB available\n\
             kind ok memory: 9000 MiB available to the container engine"
        );
        assert_eq!(told(judge(None, None)), "");
    }

    #[test]
    fn a_full_machine_is_short_for_both() {
        assert_eq!(
            told(judge(Some(2000 * MIB), Some(16_000 * MIB))),
            "host less memory: 2000 MiB available; the whole lab takes up to 3072 MiB\n  \
             end what uses it; `ps --sort=-rss -eo rss,comm | head` lists it\n\
             kind less memory: 2000 MiB available to the container engine; the lab's pods and Kubernetes' own want 6144 MiB\n  \
             end what uses it; `ps --sort=-rss -eo rss,comm | head` lists it"
        );
    }

    #[test]
    fn an_engine_in_a_small_machine_of_its_own_is_short() {
        assert_eq!(
            told(judge(Some(9000 * MIB), Some(2000 * MIB))),
            "host ok memory: 9000 MiB available\n\
             kind less memory: the container engine has 2000 MiB in all; the lab's pods and Kubernetes' own want 6144 MiB\n  \
             give its machine more: Docker Desktop, Settings, Resources; `podman machine set --memory 8192`"
        );
    }
}
