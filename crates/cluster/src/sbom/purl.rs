//! Package URLs: names of packages that scanners look up.
//!
//! Source: ECMA-427, "Package-URL specification", and its definitions of the types `cargo`, `generic` and `oci`.

use std::{collections::BTreeMap, fmt};

/// `pkg:type/name@version?qualifiers`.
pub(super) struct Purl<'a> {
    kind: &'static str,
    name: &'a str,
    version: &'a str,
    /// Written in the order of their keys.
    qualifiers: BTreeMap<&'static str, &'a str>,
}

impl<'a> Purl<'a> {
    pub(super) fn new(kind: &'static str, name: &'a str, version: &'a str) -> Self {
        Self {
            kind,
            name,
            version,
            qualifiers: BTreeMap::new(),
        }
    }

    /// Adds a qualifier if there is a value.
    pub(super) fn with(mut self, key: &'static str, value: Option<&'a str>) -> Self {
        if let Some(value) = value {
            self.qualifiers.insert(key, value);
        }
        self
    }
}

impl fmt::Display for Purl<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "pkg:{}/", self.kind)?;
        encode(formatter, self.name, "")?;
        formatter.write_str("@")?;
        encode(formatter, self.version, ":")?;
        for (number, (key, value)) in self.qualifiers.iter().enumerate() {
            formatter.write_str(if number == 0 { "?" } else { "&" })?;
            write!(formatter, "{key}=")?;
            encode(formatter, value, ":/")?;
        }
        Ok(())
    }
}

/// Writes the text percent-encoded, but for these punctuation characters and those that never are (ECMA-427, 5.4).
fn encode(formatter: &mut fmt::Formatter<'_>, text: &str, plain: &str) -> fmt::Result {
    for byte in text.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b".-_~".contains(&byte);
        if is_plain || plain.as_bytes().contains(&byte) {
            write!(formatter, "{}", char::from(byte))?;
        } else {
            write!(formatter, "%{byte:02X}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purls_are_written_as_others_write_them() {
        // As `packageurl-python` 0.17 writes them.
        let table = [
            (
                Purl::new("oci", "debian", "sha256:244fd47e")
                    .with("tag", Some("v1.0+x"))
                    .with("arch", Some("amd64"))
                    .with("repository_url", Some("docker.io/library/debian")),
                "pkg:oci/debian@sha256:244fd47e?arch=amd64&repository_url=docker.io/library/debian&tag=v1.0%2Bx",
            ),
            (
                Purl::new("cargo", "wasi", "0.11.1+wasi-snapshot").with("arch", None),
                "pkg:cargo/wasi@0.11.1%2Bwasi-snapshot",
            ),
            (
                Purl::new("generic", "kind", "v0.31.0").with("download_url", Some("https://x/y?z")),
                "pkg:generic/kind@v0.31.0?download_url=https://x/y%3Fz",
            ),
        ];
        for (purl, expected) in table {
            assert_eq!(purl.to_string(), expected);
        }
    }
}
