//! `cargo xtask`: the lab's one command line. Arguments and dispatch; each command is a file of its own.

mod bootstrap;
mod choice;
mod completions;
mod credentials;
mod doctor;
mod down;
mod engine;
mod forward;
mod install;
mod logs;
mod status;
mod supervise;
mod test;

use std::process::ExitCode;

use terminal::{
    Setting,
    cli::{Cli, Command, EngineKind},
    failure::{self, Exit},
    open, profile, verification,
};

fn main() -> ExitCode {
    failure::run_program(engine::explain, run)
}

async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let setting = Setting::of(&cli)?;
    if let Some(kind) = choice::engine(&setting, &cli.command).await?
        && kind != EngineKind::Host
    {
        return Err(forward::to(&forward::CLUSTER_ENGINE, &setting));
    }
    match cli.command {
        Command::Bootstrap(arguments) => bootstrap::run(&setting, arguments).await,
        Command::Status(arguments) => status::run(&setting, arguments).await,
        Command::Logs(arguments) => logs::run(&setting, arguments).await,
        Command::Open(arguments) => {
            let page = engine::of(&setting).await?.page(arguments.component);
            open::run(arguments.component, page.as_deref())
        }
        Command::Credentials => credentials::run(&setting).await,
        Command::Profile(arguments) => {
            profile::run(&engine::running(&setting).await?, arguments).await
        }
        Command::Verify(arguments) => {
            verification::run(&engine::running(&setting).await?, arguments).await
        }
        Command::Chaos(_) => Err(forward::to(&forward::CHAOS, &setting)),
        Command::Push(_) | Command::Images(_) | Command::Bundle(_) => {
            Err(choice::nothing_to_push(&setting))
        }
        Command::Bench(_) => Err(forward::to(&forward::BENCH, &setting)),
        Command::Doctor(arguments) => doctor::run(&setting, arguments).await,
        Command::Test(arguments) => test::run(&setting, arguments),
        Command::Down(arguments) => down::run(&setting, arguments).await,
        Command::Completions(arguments) => completions::run(arguments),
        Command::Supervise => supervise::run(&setting).await,
    }
}
