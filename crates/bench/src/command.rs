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
    let cases = cases(&arguments.cases)?;
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

/// The cases that one of the patterns chooses, in their order; all without a pattern.
fn cases(patterns: &[String]) -> Result<Vec<Case>, BenchError> {
    let all = Case::all();
    if let Some(stray) = patterns
        .iter()
        .find(|pattern| !all.iter().any(|case| case.matches(pattern)))
    {
        let names: Vec<String> = all.iter().map(ToString::to_string).collect();
        return Err(BenchError::NoCase {
            pattern: stray.clone(),
            names: names.join(", "),
        });
    }
    let chosen =
        |case: &Case| patterns.is_empty() || patterns.iter().any(|pattern| case.matches(pattern));
    Ok(all.into_iter().filter(chosen).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pattern_must_choose_something() {
        let chosen = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            cases(&patterns).map(|cases| cases.len())
        };
        assert_eq!(chosen(&[]).unwrap(), Case::all().len());
        assert_eq!(
            chosen(&["latency", "telemetry", "latency/quorum"]).unwrap(),
            6
        );
        let error = chosen(&["latency", "lattency"]).unwrap_err();
        assert!(error.to_string().contains("`lattency`"), "{error}");
    }
}
