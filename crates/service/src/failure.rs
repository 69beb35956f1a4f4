//! How a service ends, and what it says then.

use std::{error::Error, process::ExitCode};

use messaging::journal::JournalError;
use telemetry::TelemetryError;

/// The exit codes; those from 64 on are of `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Asked to stop, and everything in hand was finished.
    Done = 0,
    /// Something unexpected, or a stop that had to leave something unfinished.
    Unfinished = 1,
    /// The settings are bad.
    Settings = 64,
    /// The journal cannot be written.
    Journal = 74,
}

/// Why a service ends that should go on, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line does not parse; the text is clap's, with its usage.
    #[error("{text}")]
    Usage {
        /// What to print.
        text: String,
    },
    /// Settings are bad.
    #[error("bad settings:\n  {}", problems.join("\n  "))]
    Settings {
        /// One sentence for each.
        problems: Vec<String>,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Telemetry cannot be set up or served.
    #[error("the service cannot run")]
    Telemetry(#[from] TelemetryError),
    /// The runtime cannot be started.
    #[error("cannot start the runtime")]
    Runtime(#[source] std::io::Error),
    /// A stop that ran out of time.
    #[error("stopped with {left} {what}")]
    Unfinished {
        /// How many.
        left: usize,
        /// Of what.
        what: &'static str,
    },
}

impl Failure {
    /// The process's exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } | Self::Settings { .. } => Exit::Settings,
            Self::Journal(_) => Exit::Journal,
            Self::Telemetry(_) | Self::Runtime(_) | Self::Unfinished { .. } => Exit::Unfinished,
        }
    }

    /// What to do about it.
    fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { .. } | Self::Runtime(_) => None,
            Self::Settings { .. } => {
                Some("`--help` lists every setting with its default".to_owned())
            }
            Self::Journal(error) => Some(error.hint()),
            Self::Telemetry(error) => error.hint(),
            Self::Unfinished { .. } => Some(
                "the broker still has or never had them; a longer --drain-timeout gives them time"
                    .to_owned(),
            ),
        }
    }
}

/// Prints the failure, with its causes and what to do, on standard error, and maps it to the exit code.
#[expect(
    clippy::print_stderr,
    reason = "the one place where a service speaks to whoever started it"
)]
pub fn exit(outcome: Result<(), Failure>) -> ExitCode {
    let Err(failure) = outcome else {
        return (Exit::Done as u8).into();
    };
    match &failure {
        Failure::Usage { text } => eprint!("{text}"),
        failure => {
            eprint!("error: {failure}");
            let mut source = failure.source();
            while let Some(cause) = source {
                eprint!(": {cause}");
                source = cause.source();
            }
            eprintln!();
        }
    }
    if let Some(hint) = failure.hint() {
        eprintln!("hint: {hint}");
    }
    (failure.exit() as u8).into()
}
