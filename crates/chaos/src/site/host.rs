//! A lab of the campaign's own: brought up by the host engine, a proxy between each service and the broker.

mod broker;
mod inject;
mod service;

use std::time::Duration;

use blueprint::Component;
use host::{
    Control, PlanInput, Programs, Request, Unit, UnitStatus, plan, start_supervisor,
    supervisor::all_ready,
};
use lab::{Lab, LabFile};
use messaging::{dead_letter::DeadLetter, tracer::TracerKind};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::{
    ChaosError,
    admin::Receipt,
    campaign::HostLab,
    journals::{Journals, Writers},
    schedule::Step,
    site::Site,
    wait,
};

use self::broker::Broker;
pub(crate) use self::service::Service;

/// New messages a second: a load at which two cores shared with other work let the consumer keep up, so that a backlog is
/// the work of a fault.
const RATE: u32 = 5_000;

/// Small, because what is asked is whether messages arrive.
const PAYLOAD_BYTES: u32 = 128;

/// A peer that is silent for two of these is gone: shorter than the default, so that a silent fault is over sooner.
const HEARTBEAT: &str = "2s";

/// Where the first proxy listens if it can.
const PROXY_PORT: u16 = 5680;

/// The slowest start on a busy machine with two cores.
const START: Duration = Duration::from_secs(120);

/// How long the way back may take. The longest leads over a broker's start, some ten seconds on a busy machine, after a
/// supervisor's pause of up to ten.
const RECOVERY: Duration = Duration::from_secs(60);

/// How long a process that was ended may take to have a successor: the broker's orderly end takes up to half a minute, and
/// the supervisor waits up to ten seconds before it starts what ended often.
pub(crate) const SUCCESSION: Duration = Duration::from_secs(90);

/// A running lab with its proxies and journals.
pub(crate) struct HostSite {
    pub(crate) lab: Lab,
    pub(crate) broker: Broker,
    pub(crate) producer: Service,
    pub(crate) consumer: Service,
    pub(crate) journals: Journals,
    control: Control,
}

impl HostSite {
    /// Brings the lab up and waits until all of it is ready.
    pub(crate) async fn start(
        host: &HostLab,
        lab: &Lab,
        file: &mut LabFile,
    ) -> Result<Self, ChaosError> {
        start_supervisor(&host.supervisor, &host.state, lab, file.instance).await?;
        let input = PlanInput {
            lab: lab.clone(),
            manifests: host.manifests.clone(),
            programs: Programs::on_this_machine(),
            producer: host.producer.clone(),
            consumer: host.consumer.clone(),
        };
        let mut plan = plan(&input, file, false, &[])?;
        plan.units.retain(|unit| belongs(unit.component));
        let broker = Broker::of(&plan, lab, file.instance, &host.manifests)?;
        let producer = Service::start(Component::Producer, &plan, PROXY_PORT, broker.amqp).await?;
        let next = producer.proxy.port() + 1;
        let consumer = Service::start(Component::Consumer, &plan, next, broker.amqp).await?;
        for unit in &mut plan.units {
            load(unit, &producer);
            load(unit, &consumer);
        }
        // Before anybody writes: what stands in a journal already counts nowhere.
        let journal = |component| Writers::one(&lab.data(component).join("journal"));
        let journals =
            Journals::follow(journal(Component::Producer), journal(Component::Consumer))?;
        let control = Control::of(lab);
        plan.apply(&control).await?;
        let site = Self {
            journals,
            lab: lab.clone(),
            broker,
            producer,
            consumer,
            control,
        };
        site.all_ready().await?;
        Ok(site)
    }

    /// The supervisor's word on a component's main process.
    pub(crate) async fn status(&self, component: Component) -> Result<UnitStatus, ChaosError> {
        let units = self.control.ask(&Request::Status).await?;
        units
            .into_iter()
            .find(|status| status.unit.name == component.name())
            .ok_or_else(|| ChaosError::GaveUp {
                what: format!("a unit of {component}"),
                waited: Duration::ZERO,
                seen: "none in the lab".to_owned(),
            })
    }

    /// The process group of a component, as soon as it has one.
    pub(crate) async fn group(&self, component: Component) -> Result<Pid, ChaosError> {
        wait::until(&format!("a running {component}"), SUCCESSION, async || {
            let status = self.status(component).await.map_err(|e| e.to_string())?;
            status
                .pid
                .and_then(Pid::from_raw)
                .ok_or_else(|| status.state.name().to_owned())
        })
        .await
    }

    /// Waits until a component has another process than `before`.
    pub(crate) async fn successor(
        &self,
        component: Component,
        before: Pid,
    ) -> Result<Pid, ChaosError> {
        let what = format!("a successor of {component}, process {before}");
        wait::until(&what, SUCCESSION, async || {
            let status = self.status(component).await.map_err(|e| e.to_string())?;
            match status.pid.and_then(Pid::from_raw) {
                Some(pid) if pid != before => Ok(pid),
                _ => Err(format!(
                    "{}: {}",
                    status.state.name(),
                    status.reason.unwrap_or_default()
                )),
            }
        })
        .await
    }

    /// Asks the supervisor to end a component and to leave it ended.
    async fn stop(&self, component: Component) -> Result<(), ChaosError> {
        self.control.ask(&Request::Stop { component }).await?;
        Ok(())
    }

    async fn all_ready(&self) -> Result<(), ChaosError> {
        wait::until("the lab to start", START, async || {
            let units = self
                .control
                .ask(&Request::Status)
                .await
                .map_err(|e| e.to_string())?;
            if all_ready(&units) {
                return Ok(());
            }
            let states: Vec<String> = units
                .iter()
                .map(|status| {
                    let reason = status.reason.as_deref().unwrap_or_default();
                    format!("{} {} {reason}", status.unit.name, status.state.name())
                })
                .collect();
            Err(states.join("; "))
        })
        .await
    }
}

impl Site for HostSite {
    fn journals(&self) -> &Journals {
        &self.journals
    }

    fn broker_version(&self) -> &str {
        self.broker.version()
    }

    fn recovery(&self) -> Duration {
        RECOVERY
    }

    async fn inject(&self, step: Step) -> Result<String, ChaosError> {
        inject::inject(self, step).await
    }

    async fn is_whole(&self) -> Result<(), String> {
        // It has one of each, and a message has just gone through all of them.
        Ok(())
    }

    fn recovered(&self) {
        for service in [&self.producer, &self.consumer] {
            service.proxy.release();
        }
    }

    async fn publish(&self, kind: TracerKind) -> Result<Receipt, String> {
        self.producer.admin.publish(kind).await
    }

    async fn consumer_says(&self) -> String {
        self.consumer.admin.says().await
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, ChaosError> {
        self.broker.dead_letters().await
    }

    async fn end_producers(&self) -> Result<(), ChaosError> {
        self.stop(Component::Producer).await
    }

    async fn end_consumers(&self) -> Result<(), ChaosError> {
        self.stop(Component::Consumer).await
    }
}

/// Sends a signal to every process of a group.
pub(crate) fn signal(group: Pid, signal: Signal) -> Result<(), ChaosError> {
    kill_process_group(group, signal)
        .map_err(|errno| ChaosError::io(format!("signal the process group {group}"))(errno.into()))
}

const fn belongs(component: Component) -> bool {
    matches!(
        component,
        Component::Rabbitmq | Component::Producer | Component::Consumer
    )
}

/// Leads a service through its proxy, under load.
fn load(unit: &mut Unit, service: &Service) {
    if unit.component != service.component {
        return;
    }
    let settings = [
        ("LAB_BROKER_PORT", service.proxy.port().to_string()),
        ("LAB_HEARTBEAT", HEARTBEAT.to_owned()),
        ("LAB_RATE", RATE.to_string()),
        ("LAB_PAYLOAD_BYTES", PAYLOAD_BYTES.to_string()),
    ];
    for (name, value) in settings {
        unit.environment.insert(name.to_owned(), value);
    }
}
