//! The table: a line for each competitor in each case, and one with the ratios.

use std::fmt::Display;

use terminal::table::Rows;

use super::Report;
use crate::figure::{Figure, Spread};

/// The report as a table. `±` is half of what lies between the least and the greatest run, in hundredths of the median.
pub fn table(report: &Report) -> String {
    let mut rows = Rows::new([
        "CASE",
        "WHO",
        "CONFIRMED/s",
        "ACKED/s",
        "CONFIRM p50 ms",
        "p99",
        "END-TO-END p50 ms",
        "p99",
        "CPU s/M",
        "MEMORY MiB",
        "BROKER CPU s/M",
    ]);
    for case in &report.cases {
        for result in &case.results {
            let cells = Figure::ALL.map(|figure| cell(figure, result.figures.get(&figure)));
            add(&mut rows, &case.name, result.competitor.name(), &cells);
        }
        if !case.ratios.is_empty() {
            let cells = Figure::ALL.map(|figure| {
                let ratio = case.ratios.get(&figure);
                ratio.map_or_else(|| "-".to_owned(), |ratio| format!("x{ratio:.2}"))
            });
            add(&mut rows, &"", "ratio", &cells);
        }
    }
    rows.text()
}

fn add(rows: &mut Rows, case: &dyn Display, who: &str, cells: &[String; 9]) {
    let [a, b, c, d, e, f, g, h, i] = cells;
    rows.add(None, [case, &who, a, b, c, d, e, f, g, h, i]);
}

fn cell(figure: Figure, spread: Option<&Spread>) -> String {
    let Some(spread) = spread else {
        return "-".to_owned();
    };
    let value = figure.show(spread.median);
    match spread.percent() {
        Some(percent) => format!("{value} ±{percent:.0}%"),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_competitor_has_a_line_and_the_ratio_another() {
        let text =
            anstream::adapter::strip_str(&table(&crate::report::tests::report())).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(
            lines[1].contains("lab") && lines[1].contains("10000 ±15%"),
            "{text}"
        );
        assert!(
            lines[2].contains("perf-test") && lines[2].contains(" 5000 "),
            "{text}"
        );
        assert!(
            lines[3].contains("ratio") && lines[3].contains("x2.00"),
            "{text}"
        );
    }
}
