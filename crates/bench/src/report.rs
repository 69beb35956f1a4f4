//! The result: one type, shown as JSON, as a table and as a drawing.
//!
//! `bench --json` prints one [`Report`]; fields may be added, none removed or renamed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use crate::{
    case::{Case, Competitor},
    figure::{Figure, Spread},
    ledger::Account,
    machine::Machine,
    perf_test::Presence,
    run::Run,
};

pub use svg::svg;
pub use table::table;

mod svg;
mod table;

/// The version of the JSON.
pub const SCHEMA: u32 = 1;

/// All that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When the first run began.
    pub started_at: Timestamp,
    /// Where.
    pub machine: Machine,
    /// RabbitMQ's version.
    pub broker_version: String,
    /// Whether the broker was started for this measurement, on the same machine.
    pub own_broker: bool,
    /// Whether PerfTest took part.
    pub perf_test: Presence,
    /// How long each run warmed up, and then was measured.
    pub seconds: u32,
    /// How often each competitor ran.
    pub rounds: u32,
    /// The cases.
    pub cases: Vec<CaseReport>,
}

/// A case's results.
#[derive(Clone, Debug, Serialize)]
pub struct CaseReport {
    /// The case's name.
    pub name: String,
    /// What it is.
    pub case: Case,
    /// Each competitor's results; an absent one is not in it.
    pub results: Vec<CompetitorReport>,
    /// The first competitor's median by the second's; empty when one is absent.
    pub ratios: BTreeMap<Figure, f64>,
}

/// A competitor's results in a case.
#[derive(Clone, Debug, Serialize)]
pub struct CompetitorReport {
    /// Who.
    pub competitor: Competitor,
    /// The figures over all runs.
    pub figures: BTreeMap<Figure, Spread>,
    /// What was counted in each run.
    pub accounts: Vec<Account>,
}

impl CaseReport {
    /// The results of a case from its runs.
    pub fn of(case: Case, runs: Vec<(Competitor, Vec<Run>)>) -> Self {
        let results: Vec<CompetitorReport> = runs
            .into_iter()
            .filter(|(_, runs)| !runs.is_empty())
            .map(|(competitor, runs)| CompetitorReport::of(competitor, &runs))
            .collect();
        let ratios = match results.as_slice() {
            [first, second] => ratios(first, second),
            _ => BTreeMap::new(),
        };
        Self {
            name: case.to_string(),
            case,
            results,
            ratios,
        }
    }
}

impl CompetitorReport {
    fn of(competitor: Competitor, runs: &[Run]) -> Self {
        let spread = |figure: Figure| {
            let values = runs
                .iter()
                .filter_map(|run| run.figures.get(&figure).copied());
            Some((figure, Spread::of(values.collect())?))
        };
        Self {
            competitor,
            figures: Figure::ALL.into_iter().filter_map(spread).collect(),
            accounts: runs.iter().map(|run| run.account).collect(),
        }
    }
}

fn ratios(first: &CompetitorReport, second: &CompetitorReport) -> BTreeMap<Figure, f64> {
    first
        .figures
        .iter()
        .filter_map(|(figure, spread)| {
            let other = second.figures.get(figure)?.median;
            (other > 0.0).then(|| (*figure, spread.median / other))
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn run(scale: f64) -> Run {
        let figures = Figure::ALL.into_iter().map(|figure| match figure {
            Figure::Confirmed | Figure::Acknowledged => (figure, 10_000.0 * scale),
            Figure::ClientMemory => (figure, f64::from(10 << 20) * scale),
            _ => (figure, 2.0 * scale),
        });
        Run {
            figures: figures.collect(),
            account: Account {
                received: 1,
                confirmed: 1,
                acknowledged: 1,
                left: 0,
            },
        }
    }

    pub(crate) fn report() -> Report {
        let case = Case::all()[0].clone();
        let runs = vec![
            (Competitor::Lab, vec![run(1.0), run(1.2), run(0.9)]),
            (Competitor::PerfTest, vec![run(0.5)]),
        ];
        Report {
            schema: SCHEMA,
            started_at: Timestamp::UNIX_EPOCH,
            machine: Machine::this(),
            broker_version: "3.10.8".to_owned(),
            own_broker: true,
            perf_test: Presence::Present {
                version: "2.22.1".to_owned(),
            },
            seconds: 10,
            rounds: 3,
            cases: vec![CaseReport::of(case, runs)],
        }
    }

    #[test]
    fn ratios_are_of_medians() {
        let report = report();
        assert_eq!(report.cases[0].ratios[&Figure::Confirmed], 2.0);
        let json = serde_json::to_value(&report).unwrap();
        let figures = &json["cases"][0]["results"][0]["figures"];
        assert_eq!(figures["confirmed_per_second"]["median"], 10_000.0);
        assert_eq!(json["cases"][0]["ratios"]["client_peak_memory_bytes"], 2.0);
        assert_eq!(
            json["cases"][0]["name"],
            "throughput/classic/12B/window-1/x1"
        );
    }

    #[test]
    fn an_absent_competitor_has_no_results_and_no_ratio() {
        let runs = vec![
            (Competitor::Lab, vec![run(1.0)]),
            (Competitor::PerfTest, Vec::new()),
        ];
        let case = CaseReport::of(Case::all()[0].clone(), runs);
        assert_eq!(case.results.len(), 1);
        assert!(case.ratios.is_empty());
    }
}
