//! What a probe works with: the engine, the time it has, the tracer messages it shares, and a client of each component.

use std::net::SocketAddr;

use blueprint::{Account, Component};
use jiff::Timestamp;
use reqwest::Client;
use tokio::time::Instant;

use crate::{
    client::{
        Endpoint, admin, alertmanager::Alertmanager, blackbox::Blackbox, grafana::Grafana,
        loki::Loki, minio::MinioAdmin, prometheus::Prometheus, pyroscope::Pyroscope,
        rabbitmq::Rabbitmq, s3::S3,
    },
    engine::Engine,
    finding::Finding,
    tracers::Tracers,
};

/// The surroundings of one probe.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) http: &'a Client,
    pub(crate) tracers: &'a Tracers,
    /// When the probe was started.
    pub(crate) started_at: Timestamp,
    /// When it has to have an answer.
    pub(crate) deadline: Instant,
    /// Whether only what happens after its start counts: so under a fault, and before and after it.
    pub(crate) fresh: bool,
}

impl Context<'_> {
    /// Where the component's first port answers.
    pub(crate) async fn endpoint(&self, component: Component) -> Result<Endpoint, Finding> {
        self.port(component, component.ports()[0].name).await
    }

    /// Where the component's port of this name answers.
    pub(crate) async fn port(&self, component: Component, port: &str) -> Result<Endpoint, Finding> {
        let address = self.engine.address(component, port).await?;
        Ok(self.at(component, address))
    }

    /// A component at a known address.
    pub(crate) fn at(&self, component: Component, address: SocketAddr) -> Endpoint {
        Endpoint::new(component, self.http.clone(), address)
    }

    pub(crate) async fn prometheus(&self) -> Result<Prometheus, Finding> {
        Ok(Prometheus(self.endpoint(Component::Prometheus).await?))
    }

    pub(crate) async fn alertmanager(&self) -> Result<Alertmanager, Finding> {
        Ok(Alertmanager(self.endpoint(Component::Alertmanager).await?))
    }

    pub(crate) async fn blackbox(&self) -> Result<Blackbox, Finding> {
        Ok(Blackbox(self.endpoint(Component::Blackbox).await?))
    }

    pub(crate) async fn producer(&self) -> Result<admin::Producer, Finding> {
        Ok(admin::Producer(self.endpoint(Component::Producer).await?))
    }

    pub(crate) async fn consumer(&self) -> Result<admin::Consumer, Finding> {
        Ok(admin::Consumer(self.endpoint(Component::Consumer).await?))
    }

    pub(crate) async fn loki(&self) -> Result<Loki, Finding> {
        Ok(Loki(self.endpoint(Component::Loki).await?))
    }

    pub(crate) async fn pyroscope(&self) -> Result<Pyroscope, Finding> {
        Ok(Pyroscope(self.endpoint(Component::Pyroscope).await?))
    }

    pub(crate) async fn grafana(&self) -> Result<Grafana, Finding> {
        let endpoint = self.endpoint(Component::Grafana).await?;
        let account = Account::GrafanaAdmin;
        let password = self.engine.password(account)?;
        Ok(Grafana(endpoint.login(account.username(), password)))
    }

    pub(crate) async fn rabbitmq(&self) -> Result<Rabbitmq, Finding> {
        let endpoint = self.port(Component::Rabbitmq, "management").await?;
        let account = Account::RabbitmqOperator;
        let password = self.engine.password(account)?;
        Ok(Rabbitmq(endpoint.login(account.username(), password)))
    }

    /// A bucket, seen by the object store's administrator.
    pub(crate) async fn bucket(&self, name: &'static str) -> Result<S3, Finding> {
        let endpoint = self.port(Component::Minio, "api").await?;
        let account = Account::MinioRoot;
        let password = self.engine.password(account)?;
        Ok(S3::new(endpoint, name, account.username(), &password))
    }

    pub(crate) async fn minio_admin(&self) -> Result<MinioAdmin, Finding> {
        let endpoint = self.port(Component::Minio, "api").await?;
        let account = Account::MinioRoot;
        let password = self.engine.password(account)?;
        Ok(MinioAdmin::new(endpoint, account.username(), password))
    }
}
