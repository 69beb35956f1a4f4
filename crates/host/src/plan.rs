//! From `manifests/`, this machine's programs and a lab's ports to the units that are the lab.

use std::path::PathBuf;

use blueprint::{Account, Component};
use lab::{Lab, LabFile, passwords, ports::is_free};
use verify::{Fault, Presence};

use crate::{
    Control, HostError, PortMap, Programs, Request, Unit, UnitStatus,
    component::{self, Rendered, Site},
};

/// What a plan is made from.
#[derive(Clone, Debug)]
pub struct PlanInput {
    /// The lab.
    pub lab: Lab,
    /// The directory `manifests/`.
    pub manifests: PathBuf,
    /// The programs of this machine.
    pub programs: Programs,
    /// The producer's executable.
    pub producer: PathBuf,
    /// The consumer's executable.
    pub consumer: PathBuf,
}

/// The units of a lab, rendered to disk and ready to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The units.
    pub units: Vec<Unit>,
    /// Components whose configuration changed on disk and that read it again on request, without a restart.
    pub reload: Vec<Component>,
    /// The lab's ports.
    pub ports: PortMap,
}

/// Components that Kubernetes brings with it or that speak to nothing else.
const KUBERNETES_ONLY: [Component; 3] = [
    Component::Argocd,
    Component::MetricsServer,
    Component::KubeStateMetrics,
];

impl PlanInput {
    /// The components that this machine can run.
    pub fn components(&self) -> Vec<Component> {
        Component::ALL
            .into_iter()
            .filter(|&component| self.presence(component) == Presence::Present)
            .collect()
    }

    /// Whether a component can run here, and if not, why and what to do.
    pub fn presence(&self, component: Component) -> Presence {
        if KUBERNETES_ONLY.contains(&component) {
            return Presence::Absent {
                reason: "the host engine has no Kubernetes".to_owned(),
                remedy: "it exists on Kubernetes only; no program of this machine brings it"
                    .to_owned(),
            };
        }
        if let Some(missing) = self.programs.missing(component) {
            return Presence::Absent {
                reason: missing.reason(),
                remedy: missing.remedy(),
            };
        }
        // Loki keeps its chunks, rules and delete requests in the object store, and Promtail sends to Loki.
        let needs = match component {
            Component::Loki => Some(Component::Minio),
            Component::Promtail => Some(Component::Loki),
            _ => None,
        };
        match needs.map(|needed| (needed, self.presence(needed))) {
            Some((needed, Presence::Absent { reason, remedy })) => Presence::Absent {
                reason: format!("it needs {needed}: {reason}"),
                remedy,
            },
            _ => Presence::Present,
        }
    }
}

/// Assigns ports and passwords, renders every configuration under the lab's directory, and says what to run.
///
/// `running` tells that the lab's own processes hold its ports. `faults` are rendered into the configuration: the
/// same plan without them heals it.
///
/// # Errors
/// When a required program is missing, no port is free, or a file cannot be read, understood or written.
pub fn plan(
    input: &PlanInput,
    file: &mut LabFile,
    running: bool,
    faults: &[Fault],
) -> Result<Plan, HostError> {
    if let Some(missing) = input
        .programs
        .all_missing()
        .find(|missing| missing.required)
    {
        return Err(HostError::missing(missing));
    }
    plan_of(input, file, &input.components(), running, faults)
}

/// As [`plan`], for these components alone: nothing is asked of this machine for the others.
///
/// # Errors
/// As [`plan`], for these components.
pub fn plan_of(
    input: &PlanInput,
    file: &mut LabFile,
    components: &[Component],
    running: bool,
    faults: &[Fault],
) -> Result<Plan, HostError> {
    if let Some(missing) = components
        .iter()
        .find_map(|&component| input.programs.missing(component))
    {
        return Err(HostError::missing(missing));
    }
    let remembered = file.ports.clone();
    let ports = PortMap::assign(&remembered, components, |port| {
        (running && remembered.values().any(|held| *held == port)) || is_free(port)
    })?;
    if ports.clone().into_remembered() != file.ports {
        file.ports = ports.clone().into_remembered();
        input.lab.save(file)?;
    }
    for account in Account::ALL {
        passwords::ensure(&input.lab, account)?;
    }
    let site = Site {
        input,
        instance: file.instance,
        ports: &ports,
        components,
        faults,
    };
    let mut plan = Plan {
        units: Vec::new(),
        reload: Vec::new(),
        ports: ports.clone(),
    };
    for &component in components {
        let Rendered { units, reload } = component::render(&site, component)?;
        plan.units.extend(units);
        if reload {
            plan.reload.push(component);
        }
    }
    Ok(plan)
}

impl Plan {
    /// Makes the supervisor run this plan, and tells components to read configuration that changed under them.
    ///
    /// # Errors
    /// When the supervisor is not there or refuses.
    pub async fn apply(&self, control: &Control) -> Result<Vec<UnitStatus>, HostError> {
        let units = self.units.clone();
        let mut statuses = control.ask(&Request::Apply { units }).await?;
        for &component in &self.reload {
            statuses = control.ask(&Request::Reload { component }).await?;
        }
        Ok(statuses)
    }
}
