//! `verify`: prove the arrows of the running lab, or break each on purpose and demand that its probe notices.

use std::{
    fs,
    io::IsTerminal as _,
    path::Path,
    sync::{Mutex, PoisonError},
};

use anstream::{eprintln, print, println};
use anyhow::Context as _;
use blueprint::Arrow;
use verify::{ArrowReport, Engine, Observer, Options, Phase, Report, Status, TableStyle};

use crate::{
    cli,
    failure::{Exit, Failure},
    in_own_words,
    progress::Progress,
};

/// Runs the command against the lab of this engine.
pub async fn run(engine: &dyn Engine, arguments: cli::Verify) -> anyhow::Result<Exit> {
    let arrows = if arguments.arrows.is_empty() {
        Arrow::ALL.to_vec()
    } else {
        arguments.arrows
    };
    let report = if arguments.falsify {
        falsify(engine, &arrows).await?
    } else {
        prove(engine, &arrows).await
    };
    if let Some(path) = &arguments.junit {
        write(path, &report.to_junit())?;
    }
    if let Some(path) = &arguments.mermaid {
        write(path, &report.to_mermaid())?;
    }
    if arguments.json {
        println!("{}", in_own_words(&report.to_json()));
    } else {
        show(&report);
    }
    Ok(exit(&report))
}

/// Proves every arrow and shows the table, for `bootstrap`.
pub async fn prove_all(engine: &dyn Engine) -> Exit {
    let report = prove(engine, &Arrow::ALL).await;
    show(&report);
    exit(&report)
}

async fn prove(engine: &dyn Engine, arrows: &[Arrow]) -> Report {
    let watcher = Watcher::default();
    verify::verify(engine, arrows, Options::default(), &watcher).await
}

/// Interrupted, it heals what it has broken before it ends: dropping the falsification undoes it.
async fn falsify(engine: &dyn Engine, arrows: &[Arrow]) -> anyhow::Result<Report> {
    let watcher = Watcher::default();
    tokio::select! {
        report = verify::falsify(engine, arrows, Options::default(), &watcher) => Ok(report),
        _ = tokio::signal::ctrl_c() => {
            eprintln!("Interrupted; healing what was broken.");
            Err(Failure::new(Exit::Interrupted, "the falsification was interrupted")
                .hint("the lab was healed; `cargo xtask verify` proves it")
                .into())
        }
    }
}

fn show(report: &Report) {
    let style = TableStyle {
        // The stream that prints it strips colours where they are not wanted.
        colour: true,
        width: std::io::stdout()
            .is_terminal()
            .then(|| console_width().unwrap_or(120)),
    };
    print!("{}", in_own_words(&report.to_table(style)));
}

fn console_width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}

fn exit(report: &Report) -> Exit {
    if report.all_hold() {
        Exit::Holds
    } else {
        Exit::False
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, in_own_words(text).as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Shows how the probes get on.
#[derive(Default)]
struct Watcher(Mutex<Progress>);

impl Watcher {
    fn progress(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Observer for Watcher {
    fn started(&self, arrow: Arrow) {
        self.progress(|progress| progress.begin(&arrow.id()));
    }

    fn phase(&self, arrow: Arrow, phase: Phase, what: &str) {
        let words = match phase {
            Phase::Baseline => "must be green".to_owned(),
            Phase::Injecting => format!("breaking it: {what}"),
            Phase::WaitingForRed => format!("must go red: {what}"),
            Phase::Healing => format!("healing it: {what}"),
            Phase::WaitingForGreen => "must be green again".to_owned(),
        };
        self.progress(|progress| progress.update(&arrow.id(), &words));
    }

    fn finished(&self, report: &ArrowReport) {
        let status = report.outcome.status();
        self.progress(|progress| match status {
            // Absent arrows stand in the table with their reasons.
            Status::Absent => progress.drop_item(&report.arrow.id()),
            Status::Proven | Status::Broken => {
                progress.finish(&report.arrow.id(), status.name());
            }
        });
    }
}
