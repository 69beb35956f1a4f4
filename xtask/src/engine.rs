//! The host engine of an invocation: what a plan is made from, and the lab as verification sees it.

use host::{Control, HostEngine, HostError, PlanInput, Programs, Request};
use terminal::{Setting, failure::Exit};

/// What a plan of the lab is made from.
pub fn plan_input(setting: &Setting) -> PlanInput {
    PlanInput {
        lab: setting.lab.clone(),
        manifests: setting.root.join("manifests"),
        programs: Programs::on_this_machine(),
        producer: setting.programs.join("producer"),
        consumer: setting.programs.join("consumer"),
    }
}

/// The engine of the lab, which must have been bootstrapped.
pub async fn of(setting: &Setting) -> anyhow::Result<HostEngine> {
    Ok(HostEngine::of(plan_input(setting)).await?)
}

/// The engine of the lab, which must be running.
pub async fn running(setting: &Setting) -> anyhow::Result<HostEngine> {
    let engine = of(setting).await?;
    Control::of(&setting.lab).ask(&Request::Status).await?;
    Ok(engine)
}

/// What an error of the host engine means to the user.
pub fn explain(cause: &(dyn std::error::Error + 'static)) -> Option<(Exit, Option<String>)> {
    let error = cause.downcast_ref::<HostError>()?;
    let exit = match error {
        HostError::MissingProgram { .. } | HostError::NotRunning { .. } => Exit::Missing,
        HostError::SupervisorSilent { .. } | HostError::Survivors { .. } => Exit::GaveUp,
        HostError::Lab(_) | HostError::Refused { .. } | HostError::ObjectStore { .. } => {
            Exit::Unexpected
        }
    };
    Some((exit, error.hint()))
}
