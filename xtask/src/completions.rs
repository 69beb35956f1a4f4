//! `completions`: a script for the shell, generated from the command line itself.

use std::io;

use clap::CommandFactory as _;

use terminal::{cli, failure::Exit};

/// Writes the script to standard output. It completes the program's own name, `xtask`.
pub fn run(arguments: cli::Completions) -> anyhow::Result<Exit> {
    let mut command = cli::Cli::command();
    clap_complete::generate(arguments.shell, &mut command, "xtask", &mut io::stdout());
    Ok(Exit::Holds)
}
