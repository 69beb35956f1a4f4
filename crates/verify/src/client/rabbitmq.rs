//! RabbitMQ's management API, as far as falsification revokes and restores through it.
//!
//! Source: RabbitMQ, "Management HTTP API".

use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::{ClientError, Endpoint};

/// The broker, asked as its operator.
#[derive(Clone, Debug)]
pub(crate) struct Rabbitmq(pub(crate) Endpoint);

/// What a user may do in a virtual host: regular expressions over names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Permission {
    pub(crate) configure: String,
    pub(crate) write: String,
    pub(crate) read: String,
}

#[derive(Deserialize)]
struct Connection {
    name: String,
    user: Option<String>,
}

impl Rabbitmq {
    pub(crate) async fn permission(
        &self,
        vhost: &str,
        user: &str,
    ) -> Result<Permission, ClientError> {
        let path = format!("/api/permissions/{vhost}/{user}");
        self.0.get(&path).json().await
    }

    pub(crate) async fn permit(
        &self,
        vhost: &str,
        user: &str,
        permission: &Permission,
    ) -> Result<(), ClientError> {
        let path = format!("/api/permissions/{vhost}/{user}");
        let request = self.0.request(Method::PUT, &path);
        request
            .with(|request| request.json(permission))
            .success()
            .await?;
        Ok(())
    }

    /// Closes every connection of a user. A channel remembers what it was once permitted; a new connection asks again.
    pub(crate) async fn disconnect(&self, user: &str) -> Result<(), ClientError> {
        let connections: Vec<Connection> = self.0.get("/api/connections").json().await?;
        for connection in connections {
            if connection.user.as_deref() == Some(user) {
                let path = format!("/api/connections/{}", escaped(&connection.name));
                self.remove(&path).await?;
            }
        }
        Ok(())
    }

    /// Puts a policy over a queue, above those that it has.
    pub(crate) async fn overrule(
        &self,
        vhost: &str,
        policy: &str,
        queue: &str,
        definition: &serde_json::Value,
    ) -> Result<(), ClientError> {
        let body = serde_json::json!({
            "pattern": format!("^{}$", queue.replace('.', "\\.")),
            "apply-to": "queues",
            "priority": 100,
            "definition": definition,
        });
        let path = format!("/api/policies/{vhost}/{policy}");
        let request = self.0.request(Method::PUT, &path);
        request
            .with(|request| request.json(&body))
            .success()
            .await?;
        Ok(())
    }

    /// Takes a policy away. One that is not there is no error.
    pub(crate) async fn remove_policy(&self, vhost: &str, policy: &str) -> Result<(), ClientError> {
        self.remove(&format!("/api/policies/{vhost}/{policy}"))
            .await
    }

    async fn remove(&self, path: &str) -> Result<(), ClientError> {
        let answer = self.0.request(Method::DELETE, path).answer().await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        answer.success().map(drop)
    }
}

/// A path segment with everything but unreserved characters escaped (RFC 3986).
fn escaped(segment: &str) -> String {
    let mut escaped = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connections_name_becomes_one_path_segment() {
        assert_eq!(
            escaped("127.0.0.1:5 -> 127.0.0.1:5672"),
            "127.0.0.1%3A5%20-%3E%20127.0.0.1%3A5672"
        );
    }
}
