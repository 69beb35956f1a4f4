//! What the supervisor runs: one process with its environment, its dependencies and the word it gives when ready.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use blueprint::Component;
use serde::{Deserialize, Serialize};

/// One supervised process. Two units with equal fields are the same unit: a bootstrap leaves it running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The container's name in logs; the component's own name for its main process.
    pub name: String,
    /// The component that it belongs to.
    #[serde(with = "component_name")]
    pub component: Component,
    /// The version that the program gave of itself.
    pub version: String,
    /// The program's path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment beside the supervisor's own.
    pub environment: BTreeMap<String, String>,
    /// Names of the units that must be ready before it starts.
    pub after: Vec<String>,
    /// How it says that it is ready.
    pub readiness: Readiness,
    /// How long it may take to end after SIGTERM before SIGKILL follows.
    pub stop_grace: Duration,
    /// Digest of the program and of the configuration that it reads at start, so that a change restarts it.
    pub fingerprint: String,
    /// Directory of its CRI log files.
    pub log_directory: PathBuf,
}

/// A component's own word that it can do its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// A GET on this URL answers 2xx.
    Http(String),
    /// Something accepts connections on this port of 127.0.0.1.
    Tcp(u16),
    /// The port accepts connections and then the command exits 0; it runs in the unit's environment.
    Command {
        /// The port that is waited for first, because the command is expensive.
        port: u16,
        /// The program's path.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// MinIO answers, and its buckets, policy and user are in place.
    ObjectStore {
        /// The port of the S3 API on 127.0.0.1.
        port: u16,
        /// The lab's directory of passwords.
        secrets: PathBuf,
        /// Names of the buckets.
        buckets: Vec<String>,
        /// The file of the policy that limits Loki's user.
        policy: PathBuf,
    },
}

pub(crate) mod component_name {
    //! Components are written by name, as everywhere.

    use blueprint::Component;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(
        component: &Component,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(component.name())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Component, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}
