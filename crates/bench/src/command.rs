//! The command: the cases one after another, each with its competitors taking turns, and then the report.

use std::{fs, time::Duration};

use anstream::{eprintln, print, println};
use anyhow::Context as _;
use jiff::Timestamp;
use terminal::{Setting, cli, failure::Exit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    BenchError, Case,
    broker::Broker,
    clients::Equipment,
    machine::Machine,
    perf_test::{PerfTest, Presence, REMEDY},
    programs,
    report::{CaseReport, Report, SCHEMA, svg, table},
    run::{Run, run},
};

/// A broker under full load answers late.
const HTTP_TIMEOUT: Duration = Duration::from_secs(30);

/// Measures and reports.
///
/// # Errors
///
/// Something is missing, or a run failed; then nothing is reported.
pub async fn bench(setting: &Setting, arguments: cli::Bench) -> anyhow::Result<Exit> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let cases = cases(arguments.case.as_deref())?;
    let found = PerfTest::find(arguments.perf_test.as_deref()).await?;
    let programs = tokio::select! {
        programs = programs::find(setting) => programs?,
        () = asked_to_end(&mut interrupt, &mut terminate) => return Ok(Exit::Interrupted),
    };
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(HTTP_TIMEOUT)
        .build()
        .context("cannot make an HTTP client")?;
    let (perf_test, presence) = match found {
        Ok(found) => {
            let version = found.version.clone();
            (Some(found), Presence::Present { version })
        }
        Err(reason) => {
            eprintln!("PerfTest is absent: {reason}. {REMEDY}");
            let remedy = REMEDY.to_owned();
            (None, Presence::Absent { reason, remedy })
        }
    };
    // Not to be interrupted: what has begun to start must be ended.
    let broker = match &arguments.broker {
        Some(url) => Broker::given(http.clone(), url).await?,
        None => Broker::start(setting, http.clone()).await?,
    };
    let equipment = Equipment {
        broker,
        programs,
        perf_test,
        http,
        seconds: arguments.seconds,
    };
    let mut report = Report {
        schema: SCHEMA,
        started_at: Timestamp::now(),
        machine: Machine::this(),
        broker_version: equipment.broker.overview.version.clone(),
        own_broker: equipment.broker.is_own(),
        perf_test: presence,
        seconds: arguments.seconds,
        rounds: arguments.rounds,
        cases: Vec::new(),
    };
    let measured = tokio::select! {
        measured = measure(&equipment, cases, &mut report) => Some(measured),
        () = asked_to_end(&mut interrupt, &mut terminate) => None,
    };
    equipment.broker.stop().await?;
    match measured {
        Some(measured) => measured?,
        None => return Ok(Exit::Interrupted),
    }
    show(&report, &arguments)?;
    Ok(Exit::Holds)
}

fn cases(pattern: Option<&str>) -> Result<Vec<Case>, BenchError> {
    let pattern = pattern.unwrap_or_default();
    let all = Case::all();
    let names = || all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let chosen: Vec<Case> = all
        .iter()
        .filter(|case| case.matches(pattern))
        .cloned()
        .collect();
    if chosen.is_empty() {
        return Err(BenchError::NoCase {
            pattern: pattern.to_owned(),
            names: names().join(", "),
        });
    }
    Ok(chosen)
}

async fn asked_to_end(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

async fn measure(
    equipment: &Equipment,
    cases: Vec<Case>,
    report: &mut Report,
) -> Result<(), BenchError> {
    let of = cases.len();
    for (index, case) in cases.into_iter().enumerate() {
        let mut runs = case
            .competitors()
            .map(|competitor| (competitor, Vec::<Run>::new()));
        for round in 1..=report.rounds {
            for (competitor, runs) in &mut runs {
                if !equipment.has(*competitor) {
                    continue;
                }
                let (number, name) = (index + 1, competitor.name());
                eprintln!(
                    "[{number}/{of}] {case}: {name}, round {round} of {}",
                    report.rounds
                );
                runs.extend(run(equipment, &case, *competitor).await?);
            }
        }
        report.cases.push(CaseReport::of(case, runs.into()));
    }
    Ok(())
}

fn show(report: &Report, arguments: &cli::Bench) -> anyhow::Result<()> {
    if let Some(path) = &arguments.svg {
        fs::write(path, svg(report)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if arguments.json {
        let text = serde_json::to_string_pretty(report).context("cannot write the report")?;
        println!("{text}");
    } else {
        print!("{}", table(report));
    }
    Ok(())
}
