//! Proxy variables: what has to be reached without the proxy.

use std::net::Ipv4Addr;

use super::finding::{Finding, Scope};

/// Go and curl read both spellings.
const PROXIES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// kubeadm's range of services, and kind's of pods, which `cluster.yaml` repeats.
const RANGES: [&str; 2] = ["10.96.0.0/16", "10.244.0.0/16"];

/// The variables that name a proxy. Their values may hold a password and are not shown.
pub(super) fn set(variable: impl Fn(&str) -> Option<String>) -> Vec<&'static str> {
    PROXIES
        .into_iter()
        .filter(|name| variable(name).is_some_and(|value| !value.is_empty()))
        .collect()
}

/// `registry` is the name under which the cluster pulls from the lab's registry.
pub(super) fn judge(variable: impl Fn(&str) -> Option<String>, registry: &str) -> Vec<Finding> {
    let set = set(&variable);
    if set.is_empty() {
        return vec![Finding::good(
            Scope::Every,
            "proxy",
            "no variable names one",
        )];
    }
    let names = set.join(", ");
    let (exceptions, value) = EXCEPTIONS
        .into_iter()
        .find_map(|name| Some((name, variable(name)?)))
        .unwrap_or((EXCEPTIONS[0], String::new()));
    let entries: Vec<&str> = value.split(',').map(str::trim).collect();
    let lacking = |wanted: &[&str]| -> Vec<String> {
        wanted
            .iter()
            .filter(|wanted| !entries.iter().any(|entry| covers(entry, wanted)))
            .map(|wanted| (*wanted).to_owned())
            .collect()
    };
    let engines = [
        (Scope::Every, lacking(&["127.0.0.1"])),
        (Scope::Kind, lacking(&[registry, RANGES[0], RANGES[1]])),
    ];
    engines
        .into_iter()
        .map(|(engine, lacking)| {
            if lacking.is_empty() {
                return Finding::good(
                    engine,
                    "proxy",
                    format!("{names}, and {exceptions} excepts what the lab needs"),
                );
            }
            let lacking = lacking.join(",");
            let before = if value.is_empty() {
                String::new()
            } else {
                format!("${exceptions},")
            };
            Finding::less(
                engine,
                "proxy",
                format!("{names} set, and {exceptions} does not except {lacking}"),
                format!("`export {exceptions}=\"{before}{lacking}\"`"),
            )
        })
        .collect()
}

/// Whether an entry of NO_PROXY excepts an address, a range or a name.
fn covers(entry: &str, wanted: &str) -> bool {
    if entry == "*" || entry == wanted {
        return true;
    }
    if let (Some((entry, held)), Some((wanted, length))) = (range(entry), range(wanted)) {
        let mask = u32::MAX.checked_shl(32 - held).unwrap_or(0);
        return held <= length && entry & mask == wanted & mask;
    }
    let suffix = entry.trim_start_matches('*');
    suffix.starts_with('.') && wanted.ends_with(suffix)
}

/// An address or a range in CIDR notation: its first address and the length of its prefix.
fn range(text: &str) -> Option<(u32, u32)> {
    let (address, length) = text.split_once('/').unwrap_or((text, "32"));
    let address: Ipv4Addr = address.parse().ok()?;
    let length = length.parse().ok().filter(|length| *length <= 32)?;
    Some((address.into(), length))
}

#[cfg(test)]
mod tests {
    use super::{super::finding::told, *};

    fn said(variables: &[(&str, &str)]) -> String {
        let variable = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name)?;
            Some(found.1.to_owned())
        };
        told(judge(variable, "lab-default-registry"))
    }

    #[test]
    fn without_a_proxy_nothing_is_asked_for() {
        assert_eq!(
            said(&[("NO_PROXY", "localhost"), ("HTTP_PROXY", "")]),
            "every ok proxy: no variable names one"
        );
    }

    #[test]
    fn what_is_missing_is_named_and_the_proxys_password_is_not() {
        assert_eq!(
            said(&[("HTTPS_PROXY", "http://me:secret@proxy:3128")]),
            "every less proxy: HTTPS_PROXY set, and NO_PROXY does not except 127.0.0.1\n  \
             `export NO_PROXY=\"127.0.0.1\"`\n\
             kind less proxy: HTTPS_PROXY set, and NO_PROXY does not except lab-default-registry,10.96.0.0/16,10.244.0.0/16\n  \
             `export NO_PROXY=\"lab-default-registry,10.96.0.0/16,10.244.0.0/16\"`"
        );
    }

    #[test]
    fn what_is_there_stays() {
        assert_eq!(
            said(&[
                ("http_proxy", "http://proxy:3128"),
                ("no_proxy", "localhost, 127.0.0.0/8,10.96.0.0/12")
            ]),
            "every ok proxy: http_proxy, and no_proxy excepts what the lab needs\n\
             kind less proxy: http_proxy set, and no_proxy does not except lab-default-registry,10.244.0.0/16\n  \
             `export no_proxy=\"$no_proxy,lab-default-registry,10.244.0.0/16\"`"
        );
    }

    #[test]
    fn an_entry_covers_what_it_holds() {
        for (entry, wanted, expected) in [
            ("*", "127.0.0.1", true),
            ("0.0.0.0/0", "127.0.0.1", true),
            ("10.96.0.0/12", "10.96.0.0/16", true),
            ("10.96.0.0/24", "10.96.0.0/16", false),
            ("10.97.0.0/16", "10.96.0.0/16", false),
            ("localhost", "127.0.0.1", false),
            (".lan", "registry.lan", true),
            ("*.lan", "registry.lan", true),
            ("", "registry", false),
            ("10.0.0.0/40", "10.0.0.1", false),
        ] {
            assert_eq!(covers(entry, wanted), expected, "{entry} {wanted}");
        }
    }
}
