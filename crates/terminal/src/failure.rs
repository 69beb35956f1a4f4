//! Exit codes, and the one place where an error is printed.

use std::{error::Error, fmt, process::ExitCode};

use anstream::eprintln;
use anstyle::{AnsiColor, Style};
use lab::LabError;

use crate::{cli::Cli, in_own_words};

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All that was asked holds.
    Holds = 0,
    /// Something unexpected failed.
    Unexpected = 1,
    /// The command line asks for what there is not.
    Usage = 2,
    /// Something that the command needs is missing on this machine.
    Missing = 3,
    /// A check is false: an arrow is broken, a test failed.
    False = 4,
    /// What was waited for did not come.
    GaveUp = 5,
    /// Interrupted with Ctrl-C, as shells report it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure with its exit code and the next step, for failures that no library knows of.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    what: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure with this exit code.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            hint: None,
        }
    }

    /// Adds what to do next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Failure {}

/// What an error of an engine means to the user: the exit code, and what to do next.
pub type Explain = fn(&(dyn Error + 'static)) -> Option<(Exit, Option<String>)>;

/// Runs a program of the lab: its command line is parsed, `run` gets it, and an error is reported.
pub fn run_program<R>(explain: Explain, run: impl FnOnce(Cli) -> R) -> ExitCode
where
    R: Future<Output = anyhow::Result<Exit>>,
{
    let cli = Cli::of_this_process();
    cli.color.write_global();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return report(&error.into(), explain),
    };
    match runtime.block_on(run(cli)) {
        Ok(exit) => exit.into(),
        Err(error) => report(&error, explain),
    }
}

/// Prints an error with its causes and what to do next, and gives its exit code. `explain` knows the errors of the
/// engine; those of this crate and of the lab's directory are known here.
pub fn report(error: &anyhow::Error, explain: Explain) -> ExitCode {
    let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
    let cyan = Style::new().bold().fg_color(Some(AnsiColor::Cyan.into()));
    eprintln!("{red}error:{red:#} {}", in_own_words(&error.to_string()));
    for cause in error.chain().skip(1) {
        eprintln!("  because: {}", in_own_words(&cause.to_string()));
    }
    let (exit, hint) = verdict(error, explain);
    if let Some(hint) = hint {
        eprintln!("{cyan}hint:{cyan:#} {}", in_own_words(&hint));
    }
    exit.into()
}

fn verdict(error: &anyhow::Error, explain: Explain) -> (Exit, Option<String>) {
    error
        .chain()
        .find_map(|cause| own(cause).or_else(|| explain(cause)))
        .unwrap_or((Exit::Unexpected, None))
}

fn own(cause: &(dyn Error + 'static)) -> Option<(Exit, Option<String>)> {
    if let Some(failure) = cause.downcast_ref::<Failure>() {
        return Some((failure.exit, failure.hint.clone()));
    }
    let error = cause.downcast_ref::<LabError>()?;
    Some((Exit::Unexpected, error.hint()))
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_hint_and_the_code_come_from_the_depth_of_the_chain() {
        let failure = Failure::new(Exit::GaveUp, "rabbitmq is not ready").hint("look at its logs");
        let error = Err::<(), _>(failure)
            .context("cannot bring the lab up")
            .unwrap_err();
        let (exit, hint) = verdict(&error, |_| None);
        assert_eq!(exit, Exit::GaveUp);
        assert_eq!(hint.as_deref(), Some("look at its logs"));
    }
}
