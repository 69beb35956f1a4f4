//! What `chaos` does with its command line and its report, whichever engine runs the lab.

use std::{fmt::Write as _, time::Duration};

use anstream::{eprintln, print, println};
use anyhow::Context as _;
use terminal::{
    cli::{self, ChaosEngine, Fault},
    failure::{Exit, Failure},
    in_own_words,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Campaign, Report};

/// The campaign of a command line: with all faults of its engine, unless it names some.
///
/// # Errors
/// When it names a fault that the engine does not have.
pub fn campaign(arguments: &cli::Chaos) -> anyhow::Result<Campaign> {
    // Short enough to be typed.
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u32(..).into());
    if let Some(fault) = arguments
        .faults
        .iter()
        .find(|fault| !fault.is_of(arguments.engine))
    {
        return Err(refusal(*fault, arguments.engine).into());
    }
    Ok(Campaign {
        seed,
        replay: replay(seed, arguments),
        length: Duration::from_secs(60 * u64::from(arguments.minutes)),
        faults: if arguments.faults.is_empty() {
            arguments.engine.faults().collect()
        } else {
            arguments.faults.clone()
        },
    })
}

fn refusal(fault: Fault, engine: ChaosEngine) -> Failure {
    let known: Vec<String> = engine.faults().map(|fault| fault.to_string()).collect();
    Failure::new(
        Exit::Usage,
        format!(
            "`{fault}` is no fault of the {engine} engine, which has {}",
            known.join(", ")
        ),
    )
    .hint(format!(
        "leave it out of --faults, or give --engine {}",
        engine.other()
    ))
}

/// The command that gives the same schedule again.
fn replay(seed: u64, arguments: &cli::Chaos) -> String {
    let mut command = "cargo xtask chaos".to_owned();
    // Writing to a String cannot fail.
    if arguments.engine != ChaosEngine::Host {
        let _ = write!(command, " --engine {}", arguments.engine);
    }
    let _ = write!(command, " --seed {seed}");
    if arguments.minutes > 0 {
        let _ = write!(command, " --minutes {}", arguments.minutes);
    }
    for (index, fault) in arguments.faults.iter().enumerate() {
        let before = if index == 0 { " --faults " } else { "," };
        let _ = write!(command, "{before}{fault}");
    }
    if let Some(directory) = &arguments.journals {
        let _ = write!(command, " --journals {}", directory.display());
    }
    command
}

/// Comes when the campaign is to end early, and says what happens then.
///
/// # Errors
/// When signals cannot be listened for.
pub fn interruption(what: String) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        eprintln!("Interrupted; {what}.");
    })
}

/// Prints a report and says how the command ends; `None` is the report of a campaign that was interrupted.
pub fn show(report: Option<&Report>, json: bool) -> Exit {
    let Some(report) = report else {
        return Exit::Interrupted;
    };
    if json {
        println!("{}", in_own_words(&report.to_json()));
    } else {
        print!("{}", in_own_words(&report.to_table()));
    }
    if report.holds() {
        Exit::Holds
    } else {
        Exit::False
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(engine: ChaosEngine, faults: &[Fault]) -> cli::Chaos {
        cli::Chaos {
            engine,
            seed: Some(7),
            minutes: 0,
            faults: faults.to_vec(),
            journals: None,
            json: true,
        }
    }

    #[test]
    fn the_command_that_replays_says_all_that_was_said() {
        let mut arguments = arguments(ChaosEngine::Host, &[]);
        assert_eq!(replay(7, &arguments), "cargo xtask chaos --seed 7");
        arguments.minutes = 3;
        arguments.faults = vec![Fault::CutConsumer, Fault::Poison];
        assert_eq!(
            replay(7, &arguments),
            "cargo xtask chaos --seed 7 --minutes 3 --faults cut-consumer,poison"
        );
        arguments.engine = ChaosEngine::Cluster;
        arguments.minutes = 0;
        arguments.faults = vec![Fault::DrainNode];
        arguments.journals = Some("/srv/journals".into());
        assert_eq!(
            replay(7, &arguments),
            "cargo xtask chaos --engine cluster --seed 7 --faults drain-node --journals /srv/journals"
        );
    }

    #[test]
    fn a_fault_of_another_engine_is_refused_with_those_that_there_are() {
        let asked = arguments(ChaosEngine::Cluster, &[Fault::Poison, Fault::FreezeBroker]);
        let told = campaign(&asked).unwrap_err().to_string();
        assert!(
            told.starts_with("`freeze-broker` is no fault of the cluster engine"),
            "{told}"
        );
        assert!(
            told.contains("drain-node") && !told.contains("cut-"),
            "{told}"
        );
        let asked = arguments(ChaosEngine::Host, &[Fault::DrainNode]);
        assert!(campaign(&asked).is_err());
    }

    #[test]
    fn without_names_all_of_the_engine_are_dealt() {
        for (engine, count) in [(ChaosEngine::Host, 18), (ChaosEngine::Cluster, 8)] {
            let asked = arguments(engine, &[]);
            assert_eq!(campaign(&asked).unwrap().faults.len(), count, "{engine}");
        }
    }
}
