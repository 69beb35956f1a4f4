//! `lab-chaos`: the fault campaign. `cargo xtask chaos` hands its own command line to it.

use std::{fmt::Write as _, process::ExitCode, time::Duration};

use anstream::{eprintln, print, println};
use anyhow::Context as _;
use chaos::{Campaign, ChaosError, campaign};
use host::{HostError, supervisor};
use terminal::{
    Setting,
    cli::{self, Cli, Command, Fault},
    failure::{self, Exit, Failure},
    in_own_words, workload,
};
use tokio::signal::unix::{SignalKind, signal};

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
    workload::build(setting).await?;
    // Short enough to be typed.
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u32(..).into());
    let campaign = Campaign {
        state: setting.state.clone(),
        manifests: setting.root.join("manifests"),
        producer: setting.programs.join("producer"),
        consumer: setting.programs.join("consumer"),
        supervisor: std::env::current_exe().context("cannot find this program's own path")?,
        seed,
        replay: replay(seed, &arguments),
        length: Duration::from_secs(60 * u64::from(arguments.minutes)),
        faults: if arguments.faults.is_empty() {
            Fault::all().to_vec()
        } else {
            arguments.faults
        },
    };
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let interrupted = async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        eprintln!("Interrupted; ending the lab `{}`.", campaign::LAB);
    };
    let Some(report) = chaos::run(&campaign, interrupted).await? else {
        return Ok(Exit::Interrupted);
    };
    if arguments.json {
        println!("{}", in_own_words(&report.to_json()));
    } else {
        print!("{}", in_own_words(&report.to_table()));
    }
    Ok(if report.holds() {
        Exit::Holds
    } else {
        Exit::False
    })
}

/// The command that gives the same schedule again.
fn replay(seed: u64, arguments: &cli::Chaos) -> String {
    let mut command = format!("cargo xtask chaos --seed {seed}");
    // Writing to a String cannot fail.
    if arguments.minutes > 0 {
        let _ = write!(command, " --minutes {}", arguments.minutes);
    }
    for (index, fault) in arguments.faults.iter().enumerate() {
        let before = if index == 0 { " --faults " } else { "," };
        let _ = write!(command, "{before}{fault}");
    }
    command
}

/// What an error of the campaign means to the user.
fn explain(cause: &(dyn std::error::Error + 'static)) -> Option<(Exit, Option<String>)> {
    if let Some(error) = cause.downcast_ref::<HostError>() {
        return Some((of_host(error), error.hint()));
    }
    let error = cause.downcast_ref::<ChaosError>()?;
    Some((exit(error), error.hint()))
}

fn exit(error: &ChaosError) -> Exit {
    match error {
        ChaosError::NotCarriedOut { source, .. } => exit(source),
        ChaosError::Host(error) => of_host(error),
        ChaosError::GaveUp { .. } => Exit::GaveUp,
        _ => Exit::Unexpected,
    }
}

fn of_host(error: &HostError) -> Exit {
    match error {
        HostError::MissingProgram { .. } => Exit::Missing,
        HostError::SupervisorSilent { .. } | HostError::Survivors { .. } => Exit::GaveUp,
        _ => Exit::Unexpected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_replays_says_all_that_was_said() {
        let mut arguments = cli::Chaos {
            seed: None,
            minutes: 0,
            faults: Vec::new(),
            json: true,
        };
        assert_eq!(replay(7, &arguments), "cargo xtask chaos --seed 7");
        arguments.minutes = 3;
        arguments.faults = vec![Fault::CutConsumer, Fault::Poison];
        assert_eq!(
            replay(7, &arguments),
            "cargo xtask chaos --seed 7 --minutes 3 --faults cut-consumer,poison"
        );
    }
}
