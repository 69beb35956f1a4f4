//! HTTP to one component: the request, what counts as an answer, and how its failure is told.

pub(crate) mod admin;
pub(crate) mod alertmanager;
pub(crate) mod blackbox;
#[cfg(test)]
mod canned;
pub(crate) mod exposition;
pub(crate) mod grafana;
pub(crate) mod loki;
pub(crate) mod minio;
pub(crate) mod prometheus;
pub(crate) mod pyroscope;
pub(crate) mod rabbitmq;
pub(crate) mod s3;

use std::{error::Error, net::SocketAddr, time::Duration};

use blueprint::Component;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;

/// A request that takes longer is given up and asked again; a suspended component accepts connections and says nothing.
const REQUEST_BOUND: Duration = Duration::from_secs(3);

/// As much of a refusal as a report quotes.
const QUOTE: usize = 300;

/// The client that every request of a verification goes through.
pub(crate) fn http() -> Client {
    Client::builder()
        .timeout(REQUEST_BOUND)
        .connect_timeout(Duration::from_secs(1))
        // The lab is on this machine or behind a forwarded port, whatever proxy the environment names.
        .no_proxy()
        // Falsification ends and starts components: a kept connection would fail once for no fault of theirs.
        .pool_max_idle_per_host(0)
        .build()
        .expect("a client without TLS and resolver settings can always be built")
}

/// Where a component answers, and as whom it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    component: Component,
    http: Client,
    base: String,
    login: Option<(String, String)>,
}

impl Endpoint {
    pub(crate) fn new(component: Component, http: Client, address: SocketAddr) -> Self {
        Self {
            component,
            http,
            base: format!("http://{address}"),
            login: None,
        }
    }

    /// The same with basic authentication.
    pub(crate) fn login(self, user: &str, password: String) -> Self {
        Self {
            login: Some((user.to_owned(), password)),
            ..self
        }
    }

    /// The same below a path, for an interface that is reached through another one.
    pub(crate) fn below(&self, path: &str) -> Self {
        Self {
            base: format!("{}{path}", self.base),
            ..self.clone()
        }
    }

    pub(crate) fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> Request {
        let mut builder = self
            .http
            .request(method.clone(), format!("{}{path}", self.base));
        if let Some((user, password)) = &self.login {
            builder = builder.basic_auth(user, Some(password));
        }
        // A query string may carry a signature; the report names the path only.
        let path = path.split('?').next().unwrap_or_default();
        Request {
            component: self.component,
            name: format!("{method} {path}"),
            builder,
        }
    }
}

/// A request that is not sent yet.
#[derive(Debug)]
pub(crate) struct Request {
    component: Component,
    name: String,
    builder: RequestBuilder,
}

impl Request {
    /// Adds to the request what reqwest knows: a query, a body, headers.
    pub(crate) fn with(self, change: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Self {
        Self {
            builder: change(self.builder),
            ..self
        }
    }

    /// Sends it and takes any status for an answer.
    pub(crate) async fn answer(self) -> Result<Answer, ClientError> {
        let unanswered = |source| ClientError::Unanswered {
            component: self.component,
            request: self.name.clone(),
            source,
        };
        let response = self.builder.send().await.map_err(unanswered)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unanswered)?.to_vec();
        Ok(Answer {
            component: self.component,
            request: self.name,
            status,
            body,
        })
    }

    /// Sends it and takes nothing but success for an answer.
    pub(crate) async fn success(self) -> Result<Answer, ClientError> {
        self.answer().await?.success()
    }

    pub(crate) async fn text(self) -> Result<String, ClientError> {
        Ok(self.success().await?.text())
    }

    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        self.success().await?.json()
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    component: Component,
    request: String,
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn success(self) -> Result<Self, ClientError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let body = self.text();
        let mut words: String = body.trim().chars().take(QUOTE).collect();
        if words.len() < body.trim().len() {
            words.push('…');
        }
        Err(ClientError::Refused {
            component: self.component,
            request: self.request,
            status: self.status,
            words,
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.body).map_err(|error| self.unexpected(error.to_string()))
    }

    /// The error of an answer that was read and lacks something.
    pub(crate) fn unexpected(&self, what: impl Into<String>) -> ClientError {
        ClientError::Unexpected {
            component: self.component,
            request: self.request.clone(),
            what: what.into(),
        }
    }
}

/// Why a component's answer is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("{component} does not answer {request}")]
    Unanswered {
        component: Component,
        request: String,
        source: reqwest::Error,
    },
    #[error("{component} refuses {request}: {status} {words}")]
    Refused {
        component: Component,
        request: String,
        status: StatusCode,
        words: String,
    },
    #[error("{component} answers {request} with something else: {what}")]
    Unexpected {
        component: Component,
        request: String,
        what: String,
    },
}

impl ClientError {
    pub(crate) fn component(&self) -> Component {
        match self {
            Self::Unanswered { component, .. }
            | Self::Refused { component, .. }
            | Self::Unexpected { component, .. } => *component,
        }
    }

    /// The status that refused the request, if one did.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Unanswered { .. } | Self::Unexpected { .. } => None,
        }
    }

    /// The error and its cause in one line. Between a request and the refused connection lie four levels of the HTTP
    /// stack that say nothing to a reader; only the innermost is told.
    pub(crate) fn chain(&self) -> String {
        match self {
            Self::Unanswered { source, .. } if source.is_timeout() => {
                format!("{self}: nothing came within {} s", REQUEST_BOUND.as_secs())
            }
            Self::Unanswered { source, .. } => format!("{self}: {}", innermost(source)),
            Self::Refused { .. } | Self::Unexpected { .. } => self.to_string(),
        }
    }
}

fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    fn endpoint(port: u16) -> Endpoint {
        Endpoint::new(Component::Loki, http(), (Ipv4Addr::LOCALHOST, port).into())
    }

    #[tokio::test]
    async fn a_refused_connection_is_told_in_one_line_without_the_query() {
        let port = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.local_addr().unwrap().port()
        };
        let error = endpoint(port)
            .get("/ready?signature=secret")
            .text()
            .await
            .unwrap_err();
        let told = error.chain();
        assert!(
            told.starts_with("loki does not answer GET /ready: Connection refused"),
            "{told}"
        );
        assert_eq!(error.component(), Component::Loki);
    }

    #[test]
    fn a_refusal_quotes_the_beginning_of_a_long_body() {
        let answer = Answer {
            component: Component::Minio,
            request: "PUT /x".to_owned(),
            status: StatusCode::FORBIDDEN,
            body: "é".repeat(1000).into_bytes(),
        };
        let error = answer.success().unwrap_err();
        assert_eq!(error.status(), Some(StatusCode::FORBIDDEN));
        let told = error.chain();
        assert!(
            told.starts_with("minio refuses PUT /x: 403 Forbidden éé"),
            "{told}"
        );
        assert!(told.ends_with("é…") && told.chars().count() < 400, "{told}");
    }
}
