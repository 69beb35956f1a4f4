//! `lab-bench`: measures the workload. `cargo xtask bench` hands its own command line to it.

use std::process::ExitCode;

use bench::{BenchError, command};
use host::supervisor;
use rustix::process::{Signal, set_parent_process_death_signal};
use terminal::{
    Setting,
    cli::{Cli, Command},
    failure::{self, Exit, Failure},
};

fn main() -> ExitCode {
    // Built together with programs that speak TLS, the client asks for it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    failure::run_program(explain, run)
}

async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let setting = Setting::of(&cli)?;
    match cli.command {
        Command::Bench(arguments) => command::bench(&setting, arguments).await,
        // The broker of a measurement is run by this program too.
        Command::Supervise => {
            // A measurement that is killed takes its broker with it.
            set_parent_process_death_signal(Some(Signal::TERM))?;
            let file = setting.lab.load_or_create(&lab::Engine::Host)?;
            supervisor::run(setting.lab.clone(), file.instance).await?;
            Ok(Exit::Holds)
        }
        _ => Err(Failure::new(
            Exit::Unexpected,
            "this command does not belong to the measurements",
        )
        .hint("`cargo xtask` knows where each command belongs")
        .into()),
    }
}

/// What an error of a measurement means to the user.
fn explain(cause: &(dyn std::error::Error + 'static)) -> Option<(Exit, Option<String>)> {
    let error = cause.downcast_ref::<BenchError>()?;
    let exit = match error {
        BenchError::NoBroker | BenchError::NoListener { .. } | BenchError::NoPerfTest { .. } => {
            Exit::Missing
        }
        BenchError::GaveUp { .. } => Exit::GaveUp,
        BenchError::Lost { .. } => Exit::False,
        _ => Exit::Unexpected,
    };
    Some((exit, error.hint()))
}
