//! The running lab as a campaign sees it: ports forwarded to its pods, journals in a directory of this machine.

use std::{path::Path, time::Duration};

use blueprint::{
    Account,
    Component::{Consumer, Producer, Rabbitmq},
};
use chaos::{Admin, ChaosError, Journals, Receipt, Writers, poison, schedule::Step, wait};
use messaging::{
    broker::{BrokerSettings, PasswordSource},
    dead_letter::{self, DeadLetter},
    queue,
    topology::{QUEUE, VHOST},
    tracer::TracerKind,
};
use terminal::cli::Fault;
use verify::Engine as _;

use super::{
    nodes, of_engine,
    pods::{self, Grace},
    told,
};
use crate::{
    ClusterEngine, Site,
    workloads::{is_ready, workload},
};

/// How long the way back may take. The longest leads over a broker that finds its volume, starts, and waits for its peers.
const RECOVERY: Duration = Duration::from_secs(300);

/// A lab on a cluster, under its own load.
pub(super) struct ClusterSite {
    site: Site,
    journals: Journals,
    producer: Admin,
    consumer: Admin,
    broker: BrokerSettings,
    version: String,
    /// What lay in the dead-letter queue before.
    dead_before: Vec<DeadLetter>,
    /// Holds the forwarded ports.
    _engine: ClusterEngine,
}

impl ClusterSite {
    /// The lab, once all of it is there.
    pub(super) async fn of(site: &Site, journals: &Path) -> Result<Self, ChaosError> {
        let engine = ClusterEngine::of(site.clone()).await.map_err(of_engine)?;
        let port = async |component, name| match engine.address(component, name).await {
            Ok(address) => Ok(address.port()),
            Err(error) => Err(ChaosError::Engine(error.into())),
        };
        let operator = Account::RabbitmqOperator;
        let password = engine.password(operator);
        let broker = BrokerSettings {
            host: "127.0.0.1".to_owned(),
            port: port(Rabbitmq, "amqp").await?,
            vhost: VHOST.to_owned(),
            username: operator.username().to_owned(),
            password: PasswordSource::Value {
                password: password.map_err(|error| ChaosError::Engine(error.into()))?,
                origin: operator.name().to_owned(),
            },
            heartbeat: Duration::from_secs(10),
            connection_name: "chaos".to_owned(),
        };
        let state = workload(&site.kube, Rabbitmq).await.map_err(of_engine)?;
        let mut this = Self {
            site: site.clone(),
            journals: Journals::follow(
                Writers::pods(journals, Producer.name()),
                Writers::pods(journals, Consumer.name()),
            )?,
            producer: Admin::at(port(Producer, "admin").await?)?,
            consumer: Admin::at(port(Consumer, "admin").await?)?,
            broker,
            version: state.and_then(|state| state.version).unwrap_or_default(),
            dead_before: Vec::new(),
            _engine: engine,
        };
        wait::until("all of the lab", RECOVERY, async || {
            chaos::Site::is_whole(&this).await
        })
        .await?;
        this.dead_before = dead_letter::list(&this.broker).await?;
        Ok(this)
    }
}

impl chaos::Site for ClusterSite {
    fn journals(&self) -> &Journals {
        &self.journals
    }

    fn broker_version(&self) -> &str {
        &self.version
    }

    fn recovery(&self) -> Duration {
        RECOVERY
    }

    async fn inject(&self, step: Step) -> Result<String, ChaosError> {
        let delete = async |component, grace| {
            pods::delete(&self.site.kube, component, step.which, grace).await
        };
        match step.fault {
            Fault::KillProducerPod => delete(Producer, Grace::None).await,
            Fault::KillConsumerPod => delete(Consumer, Grace::None).await,
            Fault::KillBrokerPod => delete(Rabbitmq, Grace::None).await,
            Fault::DeleteProducerPod => delete(Producer, Grace::Its).await,
            Fault::DeleteConsumerPod => delete(Consumer, Grace::Its).await,
            Fault::DeleteBrokerPod => delete(Rabbitmq, Grace::Its).await,
            Fault::DrainNode => nodes::drain(&self.site, &self.journals, step).await,
            Fault::Poison => poison::send(self).await,
            fault => Err(ChaosError::NotOfThisEngine { fault }),
        }
    }

    /// Every pod is ready, and the broker knows as many consumers as there are: one that vanished holds no messages any more.
    async fn is_whole(&self) -> Result<(), String> {
        let kube = &self.site.kube;
        for component in [Rabbitmq, Consumer, Producer] {
            if !is_ready(kube, component)
                .await
                .map_err(|error| told(&error))?
            {
                return Err(format!("{component} is not ready"));
            }
        }
        let state = workload(kube, Consumer)
            .await
            .map_err(|error| told(&error))?;
        let pods = state.unwrap_or_default().ready;
        let known = queue::consumers(&self.broker, QUEUE)
            .await
            .map_err(|error| error.to_string())?;
        if i64::from(known) == i64::from(pods) {
            return Ok(());
        }
        Err(format!(
            "the broker knows {known} consumers, {pods} are ready"
        ))
    }

    fn recovered(&self) {
        // No fault leaves anything aside here.
    }

    async fn publish(&self, kind: TracerKind) -> Result<Receipt, String> {
        self.producer.publish(kind).await
    }

    async fn consumer_says(&self) -> String {
        self.consumer.says().await
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, ChaosError> {
        let mut letters = dead_letter::list(&self.broker).await?;
        letters.retain(|letter| !self.dead_before.contains(letter));
        Ok(letters)
    }

    async fn end_producers(&self) -> Result<(), ChaosError> {
        // They are the lab's, and go on.
        Ok(())
    }

    async fn end_consumers(&self) -> Result<(), ChaosError> {
        Ok(())
    }
}
