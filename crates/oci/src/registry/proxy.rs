//! Proxies, as the environment names them.

use std::env;

/// What never goes through a proxy: a proxy's loopback is not this machine's.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// The proxies for plain and for secured connections, and for what neither is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxies {
    pub(super) http: Option<String>,
    pub(super) https: Option<String>,
    pub(super) except: String,
}

impl Proxies {
    pub(super) fn from_environment() -> Self {
        Self::from(|name| env::var(name).ok())
    }

    fn from(variable: impl Fn(&str) -> Option<String>) -> Self {
        // Lower case first, as curl does.
        let either = |name: &str| {
            [name.to_lowercase(), name.to_owned()]
                .iter()
                .find_map(|name| variable(name).filter(|value| !value.is_empty()))
        };
        let all = either("ALL_PROXY");
        Self {
            http: either("HTTP_PROXY").or_else(|| all.clone()),
            https: either("HTTPS_PROXY").or(all),
            except: match either("NO_PROXY") {
                Some(except) => format!("{except},{LOOPBACK}"),
                None => LOOPBACK.to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(environment: &[(&str, &str)], http: &str, https: &str, except: &str) {
        let variable = |name: &str| {
            let mut found = environment.iter().filter(|(key, _)| *key == name);
            found.next().map(|(_, value)| (*value).to_owned())
        };
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        assert_eq!(
            Proxies::from(variable),
            Proxies {
                http: some(http),
                https: some(https),
                except: except.to_owned(),
            }
        );
    }

    #[test]
    fn the_environment_s_proxies_are_used_but_for_loopback() {
        check(&[], "", "", LOOPBACK);
        check(&[("HTTPS_PROXY", "")], "", "", LOOPBACK);
        check(
            &[("HTTPS_PROXY", "a"), ("https_proxy", "b")],
            "",
            "b",
            LOOPBACK,
        );
        check(
            &[("ALL_PROXY", "a"), ("HTTP_PROXY", "b"), ("NO_PROXY", "lan")],
            "b",
            "a",
            "lan,localhost,127.0.0.0/8,::1",
        );
    }
}
