//! Where the broker is and as whom to log in.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::broker::BrokerError;

/// A broker and an account on it.
#[derive(Clone, Debug)]
pub struct BrokerSettings {
    /// Host name or address.
    pub host: String,
    /// The AMQP 0-9-1 port.
    pub port: u16,
    /// The virtual host.
    pub vhost: String,
    /// The user name.
    pub username: String,
    /// Where its password comes from.
    pub password: PasswordSource,
    /// The interval of heartbeats: a peer that is silent for two of them is gone. Whole seconds count.
    pub heartbeat: Duration,
    /// What the broker's connection list calls us.
    pub connection_name: String,
}

impl BrokerSettings {
    /// `host:port`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The settings of each of so many connections, which the broker's list tells apart when there are several.
    pub(crate) fn each(&self, connections: usize) -> impl Iterator<Item = Self> + '_ {
        (1..=connections).map(move |number| {
            let mut settings = self.clone();
            if connections > 1 {
                settings.connection_name = format!("{}/{number}", self.connection_name);
            }
            settings
        })
    }
}

/// Where a password comes from; its own value never appears in output.
#[derive(Clone)]
pub enum PasswordSource {
    /// A file, read again at every attempt to connect, so that a corrected or rotated password needs no restart.
    File(PathBuf),
    /// A value handed over, with the name of where it came from (an environment variable).
    Value {
        /// The password.
        password: String,
        /// The origin's name, for messages.
        origin: String,
    },
}

impl PasswordSource {
    pub(crate) fn read(&self) -> Result<String, BrokerError> {
        match self {
            Self::File(path) => read_file(path).map_err(|source| BrokerError::PasswordUnreadable {
                path: path.clone(),
                source,
            }),
            Self::Value { password, .. } => Ok(password.clone()),
        }
    }
}

/// Names the origin.
impl fmt::Display for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Value { origin, .. } => f.write_str(origin),
        }
    }
}

impl fmt::Debug for PasswordSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordSource({self})")
    }
}

fn read_file(path: &Path) -> io::Result<String> {
    let password = fs::read_to_string(path)?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the file is empty",
        ));
    }
    Ok(password.to_owned())
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn from_file(content: &str) -> Result<String, BrokerError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, content).unwrap();
        PasswordSource::File(path).read()
    }

    #[test]
    fn the_line_end_of_a_file_is_no_part_of_the_password() {
        for content in ["s3cret", "s3cret\n", "s3cret\r\n"] {
            assert_eq!(from_file(content).unwrap(), "s3cret");
        }
        assert_eq!(from_file(" with spaces \n").unwrap(), " with spaces ");
    }

    #[test]
    fn an_empty_or_missing_file_is_named() {
        let error = from_file("\n").unwrap_err();
        assert_eq!(error.source().unwrap().to_string(), "the file is empty");
        let error = PasswordSource::File("/nonexistent/password".into())
            .read()
            .unwrap_err();
        assert!(error.to_string().contains("/nonexistent/password"));
    }

    #[test]
    fn a_password_is_never_printed() {
        let source = PasswordSource::Value {
            password: "s3cret".to_owned(),
            origin: "LAB_PASSWORD".to_owned(),
        };
        assert_eq!(
            format!("{source} {source:?}"),
            "LAB_PASSWORD PasswordSource(LAB_PASSWORD)"
        );
    }
}
