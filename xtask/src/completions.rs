//! `completions`: a script for the shell, generated from the command line itself.

use std::io;

use terminal::{cli, failure::Exit, invocation};

/// Writes the script to standard output. It completes the program's own name: `xtask` behind `cargo`, `lab` where it is
/// installed.
pub fn run(arguments: cli::Completions) -> anyhow::Result<Exit> {
    let name = invocation().rsplit(' ').next().unwrap_or_default();
    clap_complete::generate(
        arguments.shell,
        &mut cli::Cli::called(invocation()),
        name,
        &mut io::stdout(),
    );
    Ok(Exit::Holds)
}
