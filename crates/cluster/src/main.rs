//! `lab-cluster`: the commands of a lab on Kubernetes. `cargo xtask` hands its own command line to it.

use std::process::ExitCode;

use chaos::ChaosError;
use cluster::{ClusterEngine, ClusterError, Site, bootstrap, bundle, commands};
use terminal::{
    Setting,
    cli::{Cli, Command},
    failure::{self, Exit, Failure},
    open, profile, verification,
};

fn main() -> ExitCode {
    // Every client of this program uses the same cryptography; it is the first to say so.
    let _ = rustls::crypto::ring::default_provider().install_default();
    failure::run_program(explain, run)
}

async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let setting = Setting::of(&cli)?;
    match cli.command {
        Command::Images(command) => commands::images::run(&setting, command).await,
        Command::Bundle(command) => commands::bundle::run(&setting, command).await,
        command => run_on_lab(&bundle::setting_of(&setting), command).await,
    }
}

/// A command about one lab.
async fn run_on_lab(setting: &Setting, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Bootstrap(arguments) => bootstrap::run(setting, arguments).await,
        Command::Down(arguments) => commands::down::run(setting, arguments).await,
        Command::Status(arguments) => {
            commands::status::run(&Site::open(setting).await?, arguments).await
        }
        Command::Logs(arguments) => {
            commands::logs::run(&Site::open(setting).await?, arguments).await
        }
        Command::Open(arguments) => {
            let page = Site::open(setting).await?.page(arguments.component);
            open::run(arguments.component, page.as_deref())
        }
        Command::Credentials => commands::credentials::run(&Site::open(setting).await?).await,
        Command::Push(arguments) => {
            commands::push::run(setting, &Site::open(setting).await?, arguments).await
        }
        Command::Verify(arguments) => {
            let engine = ClusterEngine::of(Site::open(setting).await?).await?;
            verification::run(&engine, arguments).await
        }
        Command::Profile(arguments) => {
            let engine = ClusterEngine::of(Site::open(setting).await?).await?;
            profile::run(&engine, arguments).await
        }
        Command::Chaos(arguments) => {
            commands::chaos::run(&Site::open(setting).await?, arguments).await
        }
        Command::Images(_)
        | Command::Bundle(_)
        | Command::Bench(_)
        | Command::Doctor(_)
        | Command::Test(_)
        | Command::Completions(_)
        | Command::Supervise => Err(Failure::new(
            Exit::Unexpected,
            "this command does not belong to the cluster engine",
        )
        .hint("`cargo xtask` knows where each command belongs")
        .into()),
    }
}

/// What an error of the cluster engine means to the user.
fn explain(cause: &(dyn std::error::Error + 'static)) -> Option<(Exit, Option<String>)> {
    if let Some(error) = cause.downcast_ref::<ChaosError>() {
        // The engine's own error, which is its cause, knows better.
        return (!matches!(error, ChaosError::Engine(_))).then(|| (error.exit(), error.hint()));
    }
    let error = cause.downcast_ref::<ClusterError>()?;
    let exit = match error {
        ClusterError::MissingProgram { .. } => Exit::Missing,
        ClusterError::GaveUp { .. }
        | ClusterError::ProgramHung { .. }
        | ClusterError::Silent { .. } => Exit::GaveUp,
        ClusterError::LeftBehind { .. } => Exit::False,
        _ => Exit::Unexpected,
    };
    Some((exit, error.hint()))
}
