//! `lab-chaos`: the fault campaign on a lab of its own. `cargo xtask chaos` hands its own command line to it.

use std::process::ExitCode;

use anyhow::Context as _;
use chaos::{ChaosError, HostLab, campaign, command, of_host};
use host::{HostError, supervisor};
use terminal::{
    Setting,
    cli::{self, Cli, Command},
    failure::{self, Exit, Failure},
    workload,
};

fn main() -> ExitCode {
    failure::run_program(explain, run)
}

async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let setting = Setting::of(&cli)?;
    match cli.command {
        Command::Chaos(arguments) => conduct(&setting, arguments).await,
        Command::Supervise => {
            let file = setting.lab.load_or_create(&lab::Engine::Host)?;
            supervisor::run(setting.lab.clone(), file.instance).await?;
            Ok(Exit::Holds)
        }
        _ => Err(Failure::new(
            Exit::Unexpected,
            "this command does not belong to the fault campaign",
        )
        .hint("`cargo xtask` knows where each command belongs")
        .into()),
    }
}

async fn conduct(setting: &Setting, arguments: cli::Chaos) -> anyhow::Result<Exit> {
    let campaign = command::campaign(&arguments)?;
    workload::build(setting).await?;
    let host = HostLab {
        state: setting.state.clone(),
        manifests: setting.root.join("manifests"),
        producer: setting.programs.join("producer"),
        consumer: setting.programs.join("consumer"),
        supervisor: std::env::current_exe().context("cannot find this program's own path")?,
    };
    let interrupted = command::interruption(format!("ending the lab `{}`", campaign::LAB))?;
    let report = chaos::run(&campaign, &host, interrupted).await?;
    Ok(command::show(report.as_ref(), arguments.json))
}

/// What an error of the campaign means to the user.
fn explain(cause: &(dyn std::error::Error + 'static)) -> Option<(Exit, Option<String>)> {
    if let Some(error) = cause.downcast_ref::<HostError>() {
        return Some((of_host(error), error.hint()));
    }
    let error = cause.downcast_ref::<ChaosError>()?;
    Some((error.exit(), error.hint()))
}
