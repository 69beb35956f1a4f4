//! The name of an image in a registry, as Docker writes it.

use std::{fmt, str::FromStr};

use crate::{Digest, OciError};

/// The registry of a name that has none.
const DEFAULT_REGISTRY: &str = "docker.io";

/// What the distribution specification allows for a registry with its repository.
const MAX_NAME: usize = 255;

/// `registry/repository[:tag][@digest]`. Written out it is complete: `busybox` is `docker.io/library/busybox`.
///
/// Syntax: distribution specification, "Pulling manifests"; defaults: Docker's reference grammar.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The host with its port, if it has one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The path within the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if one is named.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one is named. It then decides what is meant, and the tag is a comment.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The same image by this digest, without a tag.
    #[must_use]
    pub fn by_digest(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// The same image by its tag alone, which may stand for another digest by now; `None` without a tag.
    pub fn by_tag(&self) -> Option<Self> {
        self.tag.as_ref()?;
        Some(Self {
            digest: None,
            ..self.clone()
        })
    }

    /// The same name with this digest.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// What a manifest is asked by: the digest, else the tag, else `latest`.
    pub fn at(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// The same for the registry library.
    pub(crate) fn to_library(&self) -> oci_client::Reference {
        let (registry, repository) = (self.registry.clone(), self.repository.clone());
        match self.digest {
            Some(digest) => {
                oci_client::Reference::with_digest(registry, repository, digest.to_string())
            }
            None => oci_client::Reference::with_tag(registry, repository, self.at()),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = OciError;

    fn from_str(text: &str) -> Result<Self, OciError> {
        let wrong = |reason: String| OciError::Name {
            kind: "image reference",
            text: text.to_owned(),
            reason,
        };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest
                    .parse()
                    .map_err(|error: OciError| wrong(error.to_string()))?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        let (registry, path) = split_registry(rest);
        check_registry(registry).map_err(wrong)?;
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        if let Some(tag) = tag {
            check_tag(tag).map_err(wrong)?;
        }
        let repository = if registry == DEFAULT_REGISTRY && !repository.contains('/') {
            format!("library/{repository}")
        } else {
            repository.to_owned()
        };
        for component in repository.split('/') {
            check_component(component).map_err(wrong)?;
        }
        if registry.len() + 1 + repository.len() > MAX_NAME {
            return Err(wrong(format!(
                "registry and repository are longer than {MAX_NAME} characters"
            )));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

/// A first component with a dot, a port or the name `localhost` is a registry, any other is part of the path.
fn split_registry(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        // The registry of Docker Hub has this name, too.
        Some(("index.docker.io", rest)) => (DEFAULT_REGISTRY, rest),
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => (DEFAULT_REGISTRY, text),
    }
}

fn check_registry(registry: &str) -> Result<(), String> {
    let (host, port) = match registry.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest
                .split_once(']')
                .ok_or_else(|| format!("the registry `{registry}` has no closing bracket"))?;
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return Err(format!("`{address}` is no IPv6 address"));
            }
            match (rest, rest.strip_prefix(':')) {
                ("", _) => return Ok(()),
                (_, Some(port)) => ("ipv6", Some(port)),
                (_, None) => return Err(format!("`{rest}` follows the bracket")),
            }
        }
        None => match registry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (registry, None),
        },
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if !host.split('.').all(is_label) {
        return Err(format!("`{host}` is no host name"));
    }
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port != 0)
    };
    match port {
        Some(port) if !is_port(port) => Err(format!("`{port}` is no port")),
        _ => Ok(()),
    }
}

/// Runs of lower-case letters and digits, joined by one dot, one or two underscores, or any number of hyphens.
fn check_component(component: &str) -> Result<(), String> {
    if component.is_empty() {
        return Err("a component of the repository is empty".to_owned());
    }
    if component.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(format!("the repository's `{component}` has upper case"));
    }
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let separators = bytes.split(|byte| is_word(*byte));
    let well_joined = separators
        .filter(|run| !run.is_empty())
        .all(|run| matches!(run, b"." | b"_" | b"__") || run.iter().all(|byte| *byte == b'-'));
    let well_ended = [bytes.first(), bytes.last()]
        .into_iter()
        .all(|byte| byte.is_some_and(|byte| is_word(*byte)));
    if well_joined && well_ended {
        return Ok(());
    }
    Err(format!(
        "the repository's `{component}` is not words of a-z and 0-9 joined by `.`, `_`, `__` or `-`"
    ))
}

fn check_tag(tag: &str) -> Result<(), String> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = tag.bytes().next().is_some_and(is_word);
    let rest = tag
        .bytes()
        .all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'));
    if first && rest && tag.len() <= 128 {
        return Ok(());
    }
    Err(format!(
        "the tag `{tag}` is not 1 to 128 letters, digits, `_`, `.` and `-`, the first no `.` or `-`"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_tag_and_a_digest_are_taken_apart_and_put_together() {
        let whole: Reference = format!("quay.io/a/b:1@{DIGEST}").parse().unwrap();
        let by_tag = whole.by_tag().unwrap();
        assert_eq!(by_tag.to_string(), "quay.io/a/b:1");
        assert_eq!(by_tag.with_digest(whole.digest().unwrap()), whole);
        let by_digest = whole.by_digest(whole.digest().unwrap());
        assert_eq!(by_digest.to_string(), format!("quay.io/a/b@{DIGEST}"));
        assert_eq!(by_digest.by_tag(), None);
    }

    #[test]
    fn docker_s_short_names_are_written_out() {
        for (short, full) in [
            ("busybox", "docker.io/library/busybox"),
            ("busybox:1.36", "docker.io/library/busybox:1.36"),
            ("grafana/loki", "docker.io/grafana/loki"),
            ("index.docker.io/library/x", "docker.io/library/x"),
            ("docker.io/x", "docker.io/library/x"),
            ("localhost/x", "localhost/x"),
            ("registry:5000/x", "registry:5000/x"),
            ("127.0.0.1:5000/lab/x:a", "127.0.0.1:5000/lab/x:a"),
            ("[::1]:5000/x", "[::1]:5000/x"),
            ("quay.io/a/b/c__d.e--f", "quay.io/a/b/c__d.e--f"),
        ] {
            assert_eq!(short.parse::<Reference>().unwrap().to_string(), full);
        }
        let both = format!("quay.io/a/b:v1@{DIGEST}");
        let both: Reference = both.parse().unwrap();
        assert_eq!(both.tag(), Some("v1"));
        assert_eq!(both.at(), DIGEST);
        assert_eq!("x".parse::<Reference>().unwrap().at(), "latest");
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "empty"),
            ("quay.io/", "empty"),
            ("quay.io/a//b", "empty"),
            ("quay.io/Lab/x", "upper case"),
            ("quay.io/a/b:", "the tag ``"),
            ("quay.io/a/b:.x", "the tag `.x`"),
            ("quay.io/a/b@sha256:12", "64 digits"),
            ("quay.io/a/b@md5:12", "sha256:"),
            ("quay.io:port/a", "`port` is no port"),
            ("quay.io:70000/a", "`70000` is no port"),
            ("quay.io:+80/a", "`+80` is no port"),
            ("-x.io/a", "no host name"),
            ("[::1/a", "closing bracket"),
            ("quay.io/a___b", "joined by"),
            ("quay.io/a-", "joined by"),
            ("quay.io/a b", "joined by"),
            ("../../etc", "no host name"),
        ] {
            let error = text.parse::<Reference>().expect_err(text);
            assert!(error.to_string().contains(reason), "{text}: {error}");
            assert!(error.hint().is_some());
        }
        let long = format!("quay.io/{}", "a".repeat(250));
        assert!(long.parse::<Reference>().is_err());
    }

    proptest! {
        #[test]
        fn a_reference_reads_as_it_is_written(
            registry in "([a-z]{1,8}\\.){1,2}[a-z]{2,3}(:[1-9][0-9]{0,3})?|localhost",
            repository in "[a-z0-9]{1,6}([._-][a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,6}){1,3}",
            tag in proptest::option::of("[A-Za-z0-9_][A-Za-z0-9._-]{0,20}"),
            content in proptest::option::of(any::<[u8; 4]>()),
        ) {
            let mut text = format!("{registry}/{repository}");
            if let Some(tag) = tag {
                text += &format!(":{tag}");
            }
            if let Some(content) = content {
                text += &format!("@{}", Digest::of(&content));
            }
            let reference: Reference = text.parse().unwrap();
            prop_assert_eq!(reference.to_string(), text);
        }

        #[test]
        fn what_is_accepted_the_registry_library_reads_alike(text in "[a-zA-Z0-9._:/@-]{1,40}") {
            if let Ok(reference) = text.parse::<Reference>() {
                let again: Reference = reference.to_string().parse().unwrap();
                prop_assert_eq!(&again, &reference);
                let library: oci_client::Reference = reference.to_string().parse().unwrap();
                prop_assert_eq!(library.registry(), reference.registry());
                prop_assert_eq!(library.repository(), reference.repository());
            }
        }

        #[test]
        fn no_text_breaks_the_parser(text in "\\PC*") {
            let _ = text.parse::<Reference>();
        }
    }
}
