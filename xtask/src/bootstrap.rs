//! `bootstrap`: from whatever state the lab is in to a running, verified lab.
//!
//! Each step looks before it acts: a second run changes nothing, a run after a crash goes on from there.

mod boot_chart;
mod wait;

use anstream::{eprintln, print};
use anyhow::Context as _;
use blueprint::Component;
use host::{Control, Plan, PlanInput, Request, UnitStatus, end_leftovers, plan, start_supervisor};
use jiff::Timestamp;
use lab::{Lab, LabFile};
use tokio::time::Instant;
use verify::Presence;

use crate::{engine, install, status};
use terminal::{
    Setting, cli,
    failure::{Exit, Failure},
    in_own_words, verification, workload,
};

/// Runs the command.
pub async fn run(setting: &Setting, arguments: cli::Bootstrap) -> anyhow::Result<Exit> {
    if arguments.bundle.is_some() {
        return Err(Failure::new(
            Exit::Unexpected,
            "a bundle holds images, and the host engine runs programs of this machine",
        )
        .hint("bootstrap from it with --engine kind or --engine cluster")
        .into());
    }
    let bootstrap = async {
        let summary = bring_up(setting, &arguments).await?;
        eprintln!("{summary}");
        print!("{}", status::report(setting).await?.to_table());
        Ok(verification::prove_all(&engine::running(setting).await?).await)
    };
    tokio::select! {
        result = bootstrap => result,
        _ = tokio::signal::ctrl_c() => {
            eprintln!(
                "{}",
                in_own_words(
                    "Interrupted. What was started goes on in the background: `cargo xtask status` shows it, \
                     `cargo xtask bootstrap` goes on from there, `cargo xtask down` ends it."
                )
            );
            Ok(Exit::Interrupted)
        }
    }
}

async fn bring_up(setting: &Setting, arguments: &cli::Bootstrap) -> anyhow::Result<String> {
    let (started, begin) = (Instant::now(), Timestamp::now());
    let _change = setting.lab.lock_for_change()?;
    let mut file = setting.lab.load_or_create(&lab::Engine::Host)?;
    let mut input = engine::plan_input(setting);
    if arguments.install {
        let missing: Vec<_> = input
            .programs
            .all_missing()
            .filter_map(|missing| missing.package)
            .collect();
        if !missing.is_empty() {
            install::packages(&missing)?;
            input = engine::plan_input(setting);
        }
    }
    refuse_missing(&input)?;
    let control = Control::of(&setting.lab);
    let running = control.ask(&Request::Status).await.ok();
    let before = running.clone().unwrap_or_default();
    if running.is_none() {
        recover(&setting.lab, &file).await?;
        let program = std::env::current_exe().context("cannot find this program's own path")?;
        start_supervisor(&program, &setting.state, &setting.lab, file.instance).await?;
    }
    let is_first_loki = !setting.lab.data(Component::Loki).exists();
    let plan = build_and_apply(setting, &input, &mut file, running.is_some()).await?;
    for moved in plan.ports.moved(&input.components()) {
        eprintln!(
            "{} listens on {} because {} is taken",
            moved.owner, moved.actual, moved.preferred
        );
    }
    let mut after = wait::until_ready(&control).await?;
    if is_first_loki && input.presence(Component::Loki) == Presence::Present {
        after = store_delete_request(setting, &control).await?;
    }
    if arguments.timings {
        print!("{}", boot_chart::draw(&after, begin));
    }
    let took = started.elapsed().as_secs_f64();
    Ok(if plan.reload.is_empty() && is_unchanged(&before, &after) {
        format!(
            "The lab `{}` is up; nothing changed ({took:.1} s).",
            setting.lab.name()
        )
    } else {
        format!("The lab `{}` is up after {took:.1} s.", setting.lab.name())
    })
}

/// Loki uploads its delete requests every five minutes and when it stops. One request and one orderly restart put the
/// first of them into its bucket, so that the first verification of a lab need not wait that long for it.
async fn store_delete_request(
    setting: &Setting,
    control: &Control,
) -> anyhow::Result<Vec<UnitStatus>> {
    verify::leave_delete_request(&engine::of(setting).await?)
        .await
        .map_err(|reason| {
            Failure::new(
                Exit::Unexpected,
                format!("Loki takes no delete request: {reason}"),
            )
        })?;
    let component = Component::Loki;
    control.ask(&Request::Stop { component }).await?;
    control.ask(&Request::Start { component }).await?;
    wait::until_ready(control).await
}

/// Names every missing program at once, not the first.
fn refuse_missing(input: &PlanInput) -> anyhow::Result<()> {
    let missing: Vec<_> = input
        .programs
        .all_missing()
        .filter(|missing| missing.required)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs: Vec<_> = missing.iter().map(|missing| missing.program).collect();
    let packages: Vec<_> = missing
        .iter()
        .filter_map(|missing| missing.package)
        .collect();
    Err(Failure::new(
        Exit::Missing,
        format!(
            "the host engine needs programs that are not on this machine: {}",
            programs.join(", ")
        ),
    )
    .hint(format!(
        "`cargo xtask bootstrap --install` installs them, and so does `sudo apt-get install {}`",
        packages.join(" ")
    ))
    .into())
}

/// Ends what a killed supervisor left running.
async fn recover(lab: &Lab, file: &LabFile) -> anyhow::Result<()> {
    let Some(_lock) = lab.lock_for_supervision()? else {
        return Err(Failure::new(
            Exit::Unexpected,
            "a supervisor of this lab is alive but does not answer",
        )
        .hint("end it with `cargo xtask down`, then bootstrap again")
        .into());
    };
    let ended = end_leftovers(file.instance).await?;
    if !ended.is_empty() {
        let names: Vec<_> = ended.iter().map(ToString::to_string).collect();
        eprintln!(
            "Ended what an earlier lab left running: {}",
            names.join(", ")
        );
    }
    Ok(())
}

/// Starts the lab. On the way up the other components start while cargo builds the workload; in a running lab the
/// workload is built first, so that nothing is taken away meanwhile.
async fn build_and_apply(
    setting: &Setting,
    input: &PlanInput,
    file: &mut LabFile,
    running: bool,
) -> anyhow::Result<Plan> {
    let control = Control::of(&setting.lab);
    let building = workload::build(setting);
    if running {
        building.await?;
    } else {
        let mut first = plan(input, file, false, &[])?;
        first
            .units
            .retain(|unit| !matches!(unit.component, Component::Producer | Component::Consumer));
        first.apply(&control).await?;
        building.await?;
    }
    let plan = plan(input, file, true, &[])?;
    plan.apply(&control).await?;
    Ok(plan)
}

fn is_unchanged(before: &[UnitStatus], after: &[UnitStatus]) -> bool {
    let identity = |statuses: &[UnitStatus]| -> Vec<_> {
        statuses
            .iter()
            .map(|status| (status.unit.name.clone(), status.pid, status.restarts))
            .collect()
    };
    identity(before) == identity(after)
}
