//! Asks a unit for its own word that it is ready; a "not yet" says what was seen last.

use std::{net::Ipv4Addr, process::Stdio, time::Duration};

use tokio::{net::TcpStream, process::Command, time::timeout};

use crate::{Unit, minio_admin, unit::Readiness};

/// How long one question may take; a component that answers later is asked again.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(5);

/// A command of the Erlang virtual machine takes seconds on a busy machine.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// Asks once. `Err` holds what was seen instead.
pub(crate) async fn ask(unit: &Unit, http: &reqwest::Client) -> Result<(), String> {
    match &unit.readiness {
        Readiness::Http(url) => http_ok(http, url).await,
        Readiness::Tcp(port) => connects(*port).await,
        Readiness::Command {
            port,
            program,
            arguments,
        } => {
            connects(*port).await?;
            let mut command = Command::new(program);
            command
                .args(arguments)
                .envs(&unit.environment)
                .stdin(Stdio::null())
                .kill_on_drop(true);
            let output = timeout(COMMAND_TIMEOUT, command.output())
                .await
                .map_err(|_| format!("{} gave no answer", program.display()))?
                .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
            if output.status.success() {
                return Ok(());
            }
            let words = String::from_utf8_lossy(&output.stderr);
            Err(format!(
                "{} says: {}",
                program.display(),
                words
                    .lines()
                    .find(|line| !line.trim().is_empty())
                    .unwrap_or("nothing")
            ))
        }
        Readiness::ObjectStore {
            port,
            secrets,
            buckets,
            policy,
        } => {
            http_ok(http, &format!("http://127.0.0.1:{port}/minio/health/ready")).await?;
            minio_admin::prepare(http, *port, secrets, buckets, policy)
                .await
                .map_err(|error| error.to_string())
        }
    }
}

async fn connects(port: u16) -> Result<(), String> {
    match timeout(
        QUESTION_TIMEOUT,
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)),
    )
    .await
    {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(format!("nothing listens on 127.0.0.1:{port} yet")),
        Err(_) => Err(format!("127.0.0.1:{port} does not accept connections")),
    }
}

async fn http_ok(http: &reqwest::Client, url: &str) -> Result<(), String> {
    match http.get(url).timeout(QUESTION_TIMEOUT).send().await {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => {
            let status = response.status();
            let body = response.text().await.unwrap_or_default();
            let words = body.lines().next().unwrap_or_default();
            Err(format!("{url} answers {status}: {words}"))
        }
        Err(error) if error.is_connect() => Err(format!("nothing answers {url} yet")),
        Err(error) => Err(format!("{url}: {error}")),
    }
}
