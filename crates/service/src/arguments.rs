//! The settings that both services have, each by flag and environment variable.
//!
//! Values arrive as text and are read by `resolve`, so that all bad ones are named at once; clap stops at the first.

use std::{env, net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, error::ErrorKind};
use messaging::{
    broker::{BrokerSettings, PasswordSource},
    topology::VHOST,
};
use telemetry::{HttpEndpoint, LogFilter, OTLP_ENDPOINT_VARIABLE, TelemetrySettings};

use crate::{Failure, Problems};

/// The variable that holds the password itself, for where no file can be mounted.
const PASSWORD_VARIABLE: &str = "LAB_PASSWORD";

/// Reads the command line and the environment; prints help and version and ends the process when they are asked for.
///
/// # Errors
///
/// [`Failure::Usage`] for a flag that does not exist or lacks its value.
pub fn parse<T: Parser>() -> Result<T, Failure> {
    T::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
        _ => Failure::Usage {
            text: error.render().to_string(),
        },
    })
}

/// Where the broker is and as whom to log in.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Broker")]
pub struct BrokerArguments {
    /// Host name or address of the broker
    #[arg(
        long,
        env = "LAB_BROKER_HOST",
        value_name = "HOST",
        default_value = "127.0.0.1"
    )]
    broker_host: String,
    /// AMQP port of the broker
    #[arg(
        long,
        env = "LAB_BROKER_PORT",
        value_name = "PORT",
        default_value = "5672"
    )]
    broker_port: String,
    /// Virtual host
    #[arg(long, env = "LAB_BROKER_VHOST", value_name = "VHOST", default_value = VHOST)]
    broker_vhost: String,
    /// User name [default: the service's name]
    #[arg(long, env = "LAB_USERNAME", value_name = "USER")]
    username: Option<String>,
    /// File with the password, read again at every attempt to connect; without it the password itself is taken from the
    /// environment variable LAB_PASSWORD
    #[arg(long, env = "LAB_PASSWORD_FILE", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Heartbeat interval, in whole seconds; a peer that is silent for two of them is gone
    #[arg(
        long,
        env = "LAB_HEARTBEAT",
        value_name = "TIME",
        default_value = "10s"
    )]
    heartbeat: String,
    /// How many connections work side by side, each as one of its own: rate, window and prefetch are for each
    #[arg(
        long,
        env = "LAB_CONNECTIONS",
        value_name = "NUMBER",
        default_value = "1"
    )]
    connections: String,
}

impl BrokerArguments {
    /// Reads the values, noting each bad one.
    pub fn resolve(
        &self,
        service: &str,
        instance: &str,
        problems: &mut Problems,
    ) -> BrokerSettings {
        BrokerSettings {
            host: self.broker_host.clone(),
            port: problems.number("broker-port", &self.broker_port, 1, u16::MAX),
            vhost: self.broker_vhost.clone(),
            username: self.username.clone().unwrap_or_else(|| service.to_owned()),
            password: self.password(problems),
            heartbeat: problems.duration("heartbeat", &self.heartbeat),
            connection_name: instance.to_owned(),
        }
    }

    /// Reads how many connections there are, noting a bad number.
    pub fn connections(&self, problems: &mut Problems) -> usize {
        problems.number("connections", &self.connections, 1, 1000)
    }

    fn password(&self, problems: &mut Problems) -> PasswordSource {
        if let Some(path) = &self.password_file {
            return PasswordSource::File(path.clone());
        }
        let password = env::var(PASSWORD_VARIABLE).unwrap_or_default();
        if password.is_empty() {
            problems.missing(
                "password-file",
                format!("give a file, or the password itself in {PASSWORD_VARIABLE}"),
            );
        }
        PasswordSource::Value {
            password,
            origin: PASSWORD_VARIABLE.to_owned(),
        }
    }
}

/// What a service tells about itself, where it keeps its ledger, and how it stops.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Service")]
pub struct ServiceArguments {
    /// Address of the admin server: /healthz, /readyz, /metrics, /debug/pprof/profile
    #[arg(
        long,
        env = "LAB_ADMIN_ADDRESS",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:9464"
    )]
    admin_address: String,
    /// Journal of what was confirmed or handled; without it nothing is written
    #[arg(long, env = "LAB_JOURNAL", value_name = "FILE")]
    pub journal: Option<PathBuf>,
    /// How long a stop may take to finish what is in hand
    #[arg(
        long,
        env = "LAB_DRAIN_TIMEOUT",
        value_name = "TIME",
        default_value = "20s"
    )]
    drain_timeout: String,
    /// Log filter, such as `info` or `warn,messaging=debug`. lapin reports nothing that is not reported here with its
    /// context, and writes whole messages when they are returned: it is off unless named
    #[arg(long, env = "LAB_LOG", value_name = "FILTER", default_value = "info")]
    log: String,
    /// Base URL of a Pyroscope server to push profiles to
    #[arg(long, env = "LAB_PYROSCOPE_URL", value_name = "URL")]
    pyroscope_url: Option<String>,
    /// Pod name, for profiles, spans and the broker's connection list [default: the service's name and `-0`]
    #[arg(long, env = "LAB_SERVICE_INSTANCE", value_name = "NAME")]
    service_instance: Option<String>,
    /// Kubernetes namespace, for profiles and spans
    #[arg(
        long,
        env = "LAB_NAMESPACE",
        value_name = "NAME",
        default_value = "default"
    )]
    namespace: String,
}

impl ServiceArguments {
    /// The instance's name.
    pub fn instance(&self, service: &str) -> String {
        self.service_instance
            .clone()
            .unwrap_or_else(|| format!("{service}-0"))
    }

    /// Reads the admin server's address, noting a bad one.
    pub fn admin_address(&self, problems: &mut Problems) -> SocketAddr {
        self.admin_address.parse().unwrap_or_else(|error| {
            problems.note("admin-address", &self.admin_address, error);
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    /// Reads how long a stop may take, noting a bad value.
    pub fn drain_timeout(&self, problems: &mut Problems) -> std::time::Duration {
        problems.duration("drain-timeout", &self.drain_timeout)
    }

    /// Reads the settings of telemetry, noting each bad one.
    pub fn telemetry(&self, service: &str, problems: &mut Problems) -> TelemetrySettings {
        TelemetrySettings {
            namespace: self.namespace.clone(),
            instance: self.instance(service),
            log_filter: self.log_filter(problems),
            otlp_endpoint: otlp_endpoint(problems),
            pyroscope_url: self
                .pyroscope_url
                .as_deref()
                .filter(|url| !url.is_empty())
                .and_then(|url| endpoint("--pyroscope-url (LAB_PYROSCOPE_URL)", url, problems)),
            ..TelemetrySettings::for_service(service)
        }
    }

    fn log_filter(&self, problems: &mut Problems) -> LogFilter {
        // A later directive for the same target, from the user, wins.
        format!("lapin=off,{}", self.log)
            .parse()
            .unwrap_or_else(|_| {
                problems.note(
                    "log",
                    &self.log,
                    "expected a level or a list such as warn,messaging=debug",
                );
                LogFilter::default()
            })
    }
}

fn otlp_endpoint(problems: &mut Problems) -> Option<HttpEndpoint> {
    let url = env::var(OTLP_ENDPOINT_VARIABLE).ok()?;
    if url.is_empty() {
        return None;
    }
    endpoint(OTLP_ENDPOINT_VARIABLE, &url, problems)
}

fn endpoint(setting: &str, url: &str, problems: &mut Problems) -> Option<HttpEndpoint> {
    match url.parse::<HttpEndpoint>() {
        Ok(endpoint) => Some(endpoint),
        Err(error) => {
            problems.note_sentence(format!("{setting} {error}; {}", error.hint()));
            None
        }
    }
}
