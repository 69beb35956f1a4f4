//! Why the broker does not do what we ask, and what to do about it.

use std::{error::Error, fmt, io, path::PathBuf, time::Duration};

use lapin::{
    ErrorKind,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
};

use crate::broker::BrokerSettings;

/// An object of the topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopologyObject {
    /// A queue, by its name.
    Queue(&'static str),
    /// An exchange, by its name.
    Exchange(&'static str),
}

impl fmt::Display for TopologyObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(name) => write!(f, "queue `{name}`"),
            Self::Exchange(name) => write!(f, "exchange `{name}`"),
        }
    }
}

/// Why there is no working connection to the broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The password file cannot be read.
    #[error("cannot read the broker password from {path}")]
    PasswordUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No TCP connection.
    #[error("no broker answers at {address}")]
    Unreachable {
        /// `host:port`.
        address: String,
        /// What the system says.
        source: lapin::Error,
    },
    /// Something accepted the TCP connection and then kept silent.
    #[error("the broker at {address} did not finish the handshake within {after:?}")]
    Silent {
        /// `host:port`.
        address: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// User name or password are wrong.
    #[error("the broker at {address} refuses user `{username}` with the password from {origin}")]
    CredentialsRefused {
        /// `host:port`.
        address: String,
        /// The user name.
        username: String,
        /// The file or the variable that the password came from.
        origin: String,
    },
    /// The virtual host does not exist, or the account may not use it.
    #[error(
        "the broker at {address} refuses user `{username}` the virtual host `{vhost}`: {reply}"
    )]
    VhostRefused {
        /// `host:port`.
        address: String,
        /// The user name.
        username: String,
        /// The virtual host.
        vhost: String,
        /// The broker's words.
        reply: String,
    },
    /// A queue or an exchange does not exist.
    #[error(
        "the broker at {address} has no {object} in the virtual host `{vhost}`: its topology is missing"
    )]
    TopologyMissing {
        /// `host:port`.
        address: String,
        /// What is missing.
        object: TopologyObject,
        /// The virtual host.
        vhost: String,
    },
    /// The account lacks a permission.
    #[error("the broker at {address} forbids user `{username}` this: {reply}")]
    Forbidden {
        /// `host:port`.
        address: String,
        /// The user name.
        username: String,
        /// The broker's words.
        reply: String,
    },
    /// The broker cancelled the consumer: its queue was deleted or moved.
    #[error(
        "the broker at {address} cancelled the consumer of queue `{queue}`: the queue was deleted or has moved"
    )]
    ConsumerCancelled {
        /// `host:port`.
        address: String,
        /// The queue.
        queue: &'static str,
    },
    /// A publisher confirm is overdue.
    #[error("the broker at {address} did not confirm a message within {after:?}")]
    ConfirmOverdue {
        /// `host:port`.
        address: String,
        /// The publish timeout.
        after: Duration,
    },
    /// A connection that worked has ended.
    #[error("the connection to the broker at {address} was lost")]
    Lost {
        /// `host:port`.
        address: String,
        /// What ended it.
        source: lapin::Error,
    },
}

impl BrokerError {
    /// What to do about it; nothing where waiting is all there is to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::PasswordUnreadable { path, .. } => Some(format!(
                "put the password into {}; it is read again at every attempt",
                path.display()
            )),
            Self::Unreachable { address, .. } | Self::Silent { address, .. } => Some(format!(
                "start the broker, or give its address with --broker-host and --broker-port (asked at {address})"
            )),
            Self::CredentialsRefused {
                username, origin, ..
            } => Some(format!(
                "compare the password in {origin} with the broker's own for `{username}`; a file is read again at \
                 every attempt"
            )),
            Self::VhostRefused { .. } | Self::TopologyMissing { .. } => Some(
                "restore the topology: the broker loads manifests/rabbitmq/topology.json when it starts, and takes it \
                 at any time by `curl --user operator --json @manifests/rabbitmq/topology.json \
                 http://BROKER:15672/api/definitions`"
                    .to_owned(),
            ),
            Self::Forbidden { username, .. } => Some(format!(
                "restore the permissions of `{username}`: they stand in manifests/rabbitmq/topology.json, which the \
                 broker loads when it starts"
            )),
            Self::ConsumerCancelled { .. } | Self::ConfirmOverdue { .. } | Self::Lost { .. } => None,
        }
    }

    /// Whether only a person can mend it, so that haste is of no use.
    pub(crate) fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Self::PasswordUnreadable { .. }
                | Self::CredentialsRefused { .. }
                | Self::VhostRefused { .. }
                | Self::TopologyMissing { .. }
                | Self::Forbidden { .. }
        )
    }

    /// An error of the handshake.
    pub(crate) fn from_connect(error: lapin::Error, settings: &BrokerSettings) -> Self {
        let address = settings.address();
        let username = settings.username.clone();
        match reply(&error) {
            Some((AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED), _)) => {
                Self::CredentialsRefused {
                    address,
                    username,
                    origin: settings.password.to_string(),
                }
            }
            Some((AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED), reply)) => Self::VhostRefused {
                address,
                username,
                vhost: settings.vhost.clone(),
                reply,
            },
            _ => Self::Unreachable {
                address,
                source: error,
            },
        }
    }

    /// An error of a connection that worked.
    pub(crate) fn from_session(error: lapin::Error, settings: &BrokerSettings) -> Self {
        let address = settings.address();
        match reply(&error) {
            Some((AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED), reply)) => Self::Forbidden {
                address,
                username: settings.username.clone(),
                reply,
            },
            _ => Self::Lost {
                address,
                source: error,
            },
        }
    }

    /// An error of looking `object` up.
    pub(crate) fn from_lookup(
        error: lapin::Error,
        object: TopologyObject,
        settings: &BrokerSettings,
    ) -> Self {
        match reply(&error) {
            Some((AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND), _)) => Self::TopologyMissing {
                address: settings.address(),
                object,
                vhost: settings.vhost.clone(),
            },
            _ => Self::from_session(error, settings),
        }
    }
}

/// The whole chain of an error in one line, `outermost: ...: innermost`, leaving out what a level repeats.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        // lapin's levels end with their source.
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}

fn reply(error: &lapin::Error) -> Option<(AMQPErrorKind, String)> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => {
            Some((error.kind().clone(), error.get_message().to_string()))
        }
        _ => None,
    }
}
