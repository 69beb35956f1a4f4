//! What the broker is asked over HTTP: its version and listeners, a virtual host for each run, and its own counters.

use messaging::topology::{EXCHANGE, QUEUE};
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};

use crate::{BenchError, case::QueueType, exposition::Exposition};

/// The virtual host of a run: made for it and removed with all that is in it.
pub const VHOST: &str = "lab-bench";

/// A client of a broker's management API.
#[derive(Clone, Debug)]
pub struct Management {
    http: Client,
    url: Url,
    username: String,
    password: String,
}

/// What the broker says of itself.
#[derive(Clone, Debug)]
pub struct Overview {
    /// RabbitMQ's version.
    pub version: String,
    /// The AMQP port.
    pub amqp_port: u16,
    /// The port of its own metrics.
    metrics_port: u16,
}

/// The broker's own counters, of all virtual hosts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that publishers with confirms have sent.
    pub received: u64,
    /// Confirms that it has sent.
    pub confirmed: u64,
    /// Acknowledgements that it has taken.
    pub acknowledged: u64,
}

impl Counters {
    /// What came since an earlier reading; nothing where a broker was restarted in between, so that no account balances.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            received: self.received.saturating_sub(earlier.received),
            confirmed: self.confirmed.saturating_sub(earlier.confirmed),
            acknowledged: self.acknowledged.saturating_sub(earlier.acknowledged),
        }
    }
}

impl Management {
    /// The client for `http://USER:PASSWORD@HOST:PORT`.
    ///
    /// # Errors
    ///
    /// The URL has another form.
    pub fn of(http: Client, url: &str) -> Result<Self, BenchError> {
        let mut url: Url = url.parse().map_err(|_| BenchError::BrokerUrl)?;
        let (username, password) = (url.username().to_owned(), url.password().map(str::to_owned));
        let (Some(password), Some(_), "http") = (password, url.host_str(), url.scheme()) else {
            return Err(BenchError::BrokerUrl);
        };
        url.set_username("")
            .and_then(|()| url.set_password(None))
            .map_err(|()| BenchError::BrokerUrl)?;
        Ok(Self {
            http,
            url,
            username,
            password,
        })
    }

    /// The broker's host.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Whom the measured programs log in as.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// That user's password.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The version and the listeners.
    ///
    /// # Errors
    ///
    /// The broker does not answer, or does not listen for AMQP or for scrapes.
    pub async fn overview(&self) -> Result<Overview, BenchError> {
        let page = self.ask(Method::GET, &["overview"], None).await?;
        let port = |protocol| {
            page["listeners"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|listener| listener["protocol"] == protocol)
                .and_then(|listener| u16::try_from(listener["port"].as_u64()?).ok())
                .ok_or(BenchError::NoListener { protocol })
        };
        Ok(Overview {
            version: page["rabbitmq_version"]
                .as_str()
                .unwrap_or("unknown")
                .to_owned(),
            amqp_port: port("amqp")?,
            metrics_port: port("http/prometheus")?,
        })
    }

    /// Makes the run's virtual host with the exchange and the queue that the workload uses, empty.
    ///
    /// # Errors
    ///
    /// The broker refuses.
    pub async fn make_vhost(&self, queue: QueueType) -> Result<(), BenchError> {
        self.remove_vhost().await?;
        self.ask(Method::PUT, &["vhosts", VHOST], None).await?;
        let all = json!({ "configure": ".*", "write": ".*", "read": ".*" });
        let path = ["permissions", VHOST, &self.username];
        self.ask(Method::PUT, &path, Some(all)).await?;
        let exchange = json!({ "type": "topic", "durable": true });
        let path = ["exchanges", VHOST, EXCHANGE];
        self.ask(Method::PUT, &path, Some(exchange)).await?;
        let arguments = json!({ "x-queue-type": queue.name() });
        let queue = json!({ "durable": true, "arguments": arguments });
        let path = ["queues", VHOST, QUEUE];
        self.ask(Method::PUT, &path, Some(queue)).await?;
        let path = ["bindings", VHOST, "e", EXCHANGE, "q", QUEUE];
        let binding = json!({ "routing_key": "work.#" });
        self.ask(Method::POST, &path, Some(binding)).await?;
        Ok(())
    }

    /// Removes the run's virtual host, if it is there.
    ///
    /// # Errors
    ///
    /// The broker refuses.
    pub async fn remove_vhost(&self) -> Result<(), BenchError> {
        let request = self.request(Method::DELETE, &["vhosts", VHOST]);
        let what = format!("the broker to remove the virtual host {VHOST}");
        let response = request.send().await.map_err(BenchError::ask(&what))?;
        if response.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(());
        }
        response.error_for_status().map_err(BenchError::ask(what))?;
        Ok(())
    }

    /// How many messages lie in the run's queue, acknowledged ones not counted. The broker looks every few seconds.
    ///
    /// # Errors
    ///
    /// The broker does not answer.
    pub async fn messages_left(&self) -> Result<u64, BenchError> {
        let page = self
            .ask(Method::GET, &["queues", VHOST, QUEUE], None)
            .await?;
        // A queue that was never looked at has no number.
        Ok(page["messages"].as_u64().unwrap_or_default())
    }

    /// The broker's counters of this moment.
    ///
    /// # Errors
    ///
    /// The broker does not answer, or does not count.
    pub async fn counters(&self, overview: &Overview) -> Result<Counters, BenchError> {
        let what = "the broker's metrics";
        let url = format!("http://{}:{}/metrics", self.host(), overview.metrics_port);
        let page = text(&self.http, &url, what).await?;
        let page = Exposition::parse(&page);
        let count = |name: &str| {
            page.sum(name)
                // A counter of messages is whole and far below 2^53.
                .map(|value| value as u64)
                .ok_or_else(|| BenchError::Silent {
                    what: what.to_owned(),
                    missing: name.to_owned(),
                })
        };
        Ok(Counters {
            received: count("rabbitmq_global_messages_received_confirm_total")?,
            confirmed: count("rabbitmq_global_messages_confirmed_total")?,
            acknowledged: count("rabbitmq_global_messages_acknowledged_total")?,
        })
    }

    async fn ask(
        &self,
        method: Method,
        path: &[&str],
        body: Option<Value>,
    ) -> Result<Value, BenchError> {
        let what = format!("the broker about {}", path.join("/"));
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        let text = match response {
            Ok(response) => response.text().await.map_err(BenchError::ask(what))?,
            Err(error) => return Err(BenchError::ask(what)(error)),
        };
        // Most changes are answered with nothing.
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    fn request(&self, method: Method, path: &[&str]) -> reqwest::RequestBuilder {
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("api").extend(path);
        }
        self.http
            .request(method, url)
            .basic_auth(&self.username, Some(&self.password))
    }
}

/// The body of a page.
///
/// # Errors
///
/// There is none.
pub async fn text(http: &Client, url: &str, what: &str) -> Result<String, BenchError> {
    let response = http.get(url).send().await;
    let response = response
        .and_then(reqwest::Response::error_for_status)
        .map_err(BenchError::ask(what))?;
    response.text().await.map_err(BenchError::ask(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_needs_a_user_and_a_host_and_keeps_no_password() {
        // Tested together with what speaks TLS, the client asks for it. That it is there already is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        for bad in [
            "",
            "http://127.0.0.1:15672",
            "https://a:b@c",
            "http://a@c",
            "amqp://a:b@c",
        ] {
            assert!(Management::of(Client::new(), bad).is_err(), "{bad}");
        }
        let management =
            Management::of(Client::new(), "http://guest:p%40ss@127.0.0.1:15672/").unwrap();
        assert_eq!(management.host(), "127.0.0.1");
        assert_eq!(management.url.as_str(), "http://127.0.0.1:15672/");
        let request = management
            .request(Method::GET, &["queues", "a/b"])
            .build()
            .unwrap();
        assert_eq!(request.url().path(), "/api/queues/a%2Fb");
    }
}
