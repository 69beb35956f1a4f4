//! What a service says about itself and where its telemetry goes.
//!
//! The types hold only what can work: a bad value fails while it is parsed, next to the flag or variable it came from.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// The standard variable with the collector's base URL; spans are exported only when it is set and not empty
/// (OpenTelemetry Protocol Exporter specification).
pub const OTLP_ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// Everything that [`init`](crate::init) needs to know.
#[derive(Debug, Clone)]
pub struct TelemetrySettings {
    /// `producer` or `consumer`: `service.name` of spans, `service_name` of profiles.
    pub service: String,
    /// Kubernetes namespace, or the one that the engine pretends; label `namespace` of profiles.
    pub namespace: String,
    /// Pod name; `service.instance.id` of spans, label `pod` of profiles.
    pub instance: String,
    /// Which events are written to the log.
    pub log_filter: LogFilter,
    /// Base URL of an OTLP collector, from [`OTLP_ENDPOINT_VARIABLE`]; `None` exports no spans.
    pub otlp_endpoint: Option<HttpEndpoint>,
    /// Base URL of a Pyroscope server; `None` pushes no profiles.
    pub pyroscope_url: Option<HttpEndpoint>,
}

impl TelemetrySettings {
    /// Settings of a service that exports nothing: default namespace, pod `<service>-0`, log from INFO upwards.
    pub fn for_service(service: impl Into<String>) -> Self {
        let service = service.into();
        Self {
            instance: format!("{service}-0"),
            service,
            namespace: "default".to_owned(),
            log_filter: LogFilter::default(),
            otlp_endpoint: None,
            pyroscope_url: None,
        }
    }
}

/// The base URL of a server that is reached by plain HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpEndpoint(Url);

impl HttpEndpoint {
    /// The URL of `path` (no leading slash) below this one.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}/{path}", self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Display for HttpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl FromStr for HttpEndpoint {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| SettingError::NoUrl {
            value: text.to_owned(),
        })?;
        let host = || url.host_str().unwrap_or_default().to_owned();
        match url.scheme() {
            "http" => {}
            "https" => return Err(SettingError::Tls { host: host() }),
            scheme => {
                return Err(SettingError::Scheme {
                    scheme: scheme.to_owned(),
                });
            }
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SettingError::Credentials { host: host() });
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(SettingError::NoBase {
                value: text.to_owned(),
            });
        }
        Ok(Self(url))
    }
}

/// A filter in the syntax of `tracing_subscriber::EnvFilter`, such as `info` or `warn,messaging=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter itself, which cannot be cloned and is therefore built where it is used.
    pub(crate) fn to_env_filter(&self) -> Result<EnvFilter, ParseError> {
        // The exporter warns at each failed attempt, without the cause, where the service warns once for each outage;
        // the SDK tells at INFO that it begins and ends. A later directive for the same target, the user's, wins.
        EnvFilter::try_new(format!(
            "opentelemetry-otlp=error,opentelemetry_sdk=warn,{}",
            self.0
        ))
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LogFilter {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let filter = Self(text.to_owned());
        match filter.to_env_filter() {
            Ok(_) => Ok(filter),
            Err(source) => Err(SettingError::Filter {
                value: text.to_owned(),
                source,
            }),
        }
    }
}

/// A value that no setting of this crate takes.
///
/// Each message is a fragment that reads after the setting's name. None repeats a user name or password of a URL.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SettingError {
    /// `https://`, while no TLS is built in.
    #[error("asks for TLS to {host}, which is not built in")]
    Tls {
        /// The URL's host.
        host: String,
    },
    /// Neither `http://` nor `https://`.
    #[error("has the scheme `{scheme}`")]
    Scheme {
        /// The URL's scheme.
        scheme: String,
    },
    /// A user name or a password in the URL, which would end in logs.
    #[error("carries credentials for {host} in the URL")]
    Credentials {
        /// The URL's host.
        host: String,
    },
    /// A query or a fragment, to which no path can be added.
    #[error("is `{value}`, to which no path can be added")]
    NoBase {
        /// The value given.
        value: String,
    },
    /// Not a URL at all.
    #[error("is `{value}`, which is not a URL")]
    NoUrl {
        /// The value given.
        value: String,
    },
    /// Not a log filter.
    #[error("is `{value}`, which is not a log filter")]
    Filter {
        /// The value given.
        value: String,
        /// What the parser says.
        #[source]
        source: ParseError,
    },
}

impl SettingError {
    /// What to give instead.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Tls { .. } => {
                "give an http:// URL, such as a collector beside the service, http://127.0.0.1:4318"
            }
            Self::Credentials { .. } => "give the URL without user name and password",
            Self::Scheme { .. } | Self::NoBase { .. } | Self::NoUrl { .. } => {
                "give a base URL such as http://127.0.0.1:4318"
            }
            Self::Filter { .. } => "give a level or a list such as warn,messaging=debug",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_endpoints_are_taken_and_joined_without_a_double_slash() {
        for (given, joined) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("http://collector/otlp/", "http://collector/otlp/v1/traces"),
        ] {
            let endpoint: HttpEndpoint = given.parse().unwrap();
            assert_eq!(endpoint.join("v1/traces"), joined, "{given}");
        }
    }

    #[test]
    fn endpoints_that_cannot_work_say_why() {
        for (given, message) in [
            (
                "https://collector:4318",
                "asks for TLS to collector, which is not built in",
            ),
            (
                "https://user:secret@collector",
                "asks for TLS to collector, which is not built in",
            ),
            (
                "http://user:secret@collector",
                "carries credentials for collector in the URL",
            ),
            ("grpc://collector", "has the scheme `grpc`"),
            (
                "http://collector?a=b",
                "is `http://collector?a=b`, to which no path can be added",
            ),
            ("collector", "is `collector`, which is not a URL"),
            ("", "is ``, which is not a URL"),
        ] {
            let error = given.parse::<HttpEndpoint>().unwrap_err();
            assert_eq!(error.to_string(), message, "{given}");
            assert!(error.hint().contains("URL"), "{given}");
        }
    }

    #[test]
    fn log_filters_are_checked_when_they_are_given() {
        for good in ["info", "warn,messaging=debug", "off"] {
            assert_eq!(good.parse::<LogFilter>().unwrap().to_string(), good);
        }
        let error = "messaging=loud".parse::<LogFilter>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "is `messaging=loud`, which is not a log filter"
        );
    }
}
