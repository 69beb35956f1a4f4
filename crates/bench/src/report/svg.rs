//! The drawing: throughput of each case as a dot with its spread, on a logarithmic scale, so that cases of 500 and of 50,000
//! messages a second are read on one page.

use std::fmt::Write as _;

use super::Report;
use crate::{case::Competitor, figure::Figure};

const LEFT: f64 = 290.0;
const WIDTH: f64 = 560.0;
const TOP: f64 = 70.0;
const ROW: f64 = 26.0;

/// The report as an SVG.
pub fn svg(report: &Report) -> String {
    let scale = Scale::of(report);
    let height = TOP + ROW * report.cases.len() as f64 + 30.0;
    let mut svg = String::new();
    // Writing into a string cannot fail.
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"960\" height=\"{height}\" viewBox=\"0 0 960 {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Throughput of the lab's workload and of PerfTest</title>\n\
         <rect width=\"960\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"15\">Messages confirmed a second, RabbitMQ {}: median, least and greatest of {} \
         runs</text>",
        escape(&report.broker_version),
        report.rounds
    );
    let taking_part = COMPETITORS.into_iter().filter(|competitor| {
        let mut results = report.cases.iter().flat_map(|case| &case.results);
        results.any(|result| result.competitor == *competitor)
    });
    for (index, competitor) in taking_part.enumerate() {
        let x = 16.0 + 140.0 * index as f64;
        dot(&mut svg, x + 5.0, 44.0, competitor, competitor.name());
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"48\">{}</text>",
            x + 16.0,
            competitor.name()
        );
    }
    grid(&mut svg, &scale, height);
    for (index, case) in report.cases.iter().enumerate() {
        let y = TOP + ROW * (index as f64 + 0.5);
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 12.0,
            y + 4.0,
            escape(&case.name)
        );
        for (offset, result) in [-4.0, 4.0].into_iter().zip(&case.results) {
            let Some(spread) = result.figures.get(&Figure::Confirmed) else {
                continue;
            };
            let (y, color) = (y + offset, color(result.competitor));
            let _ = writeln!(
                svg,
                "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y}\" y2=\"{y}\" stroke=\"{color}\" stroke-width=\"2\"/>",
                scale.x(spread.min),
                scale.x(spread.max)
            );
            let told = format!("{}: {:.0}/s", result.competitor.name(), spread.median);
            dot(
                &mut svg,
                scale.x(spread.median),
                y,
                result.competitor,
                &told,
            );
        }
        if let Some(ratio) = case.ratios.get(&Figure::Confirmed) {
            let x = LEFT + WIDTH + 20.0;
            let _ = writeln!(svg, "<text x=\"{x}\" y=\"{}\">x{ratio:.2}</text>", y + 4.0);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

const COMPETITORS: [Competitor; 4] = [
    Competitor::Lab,
    Competitor::PerfTest,
    Competitor::TelemetryOn,
    Competitor::TelemetryOff,
];

/// Colours that the colour-blind tell apart (Okabe and Ito).
const fn color(competitor: Competitor) -> &'static str {
    match competitor {
        Competitor::Lab => "#0072b2",
        Competitor::PerfTest => "#d55e00",
        Competitor::TelemetryOn => "#009e73",
        Competitor::TelemetryOff => "#555555",
    }
}

fn dot(svg: &mut String, x: f64, y: f64, competitor: Competitor, told: &str) {
    let color = color(competitor);
    let _ = writeln!(
        svg,
        "<circle cx=\"{x:.1}\" cy=\"{y}\" r=\"4\" fill=\"{color}\"><title>{told}</title></circle>"
    );
}

fn grid(svg: &mut String, scale: &Scale, height: f64) {
    for power in scale.from..=scale.to {
        let value = 10_f64.powi(power);
        let x = scale.x(value);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{}\" stroke=\"#ddd\"/>\n\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{value}</text>",
            height - 30.0,
            height - 12.0
        );
    }
}

/// A logarithmic axis from one power of ten to another.
struct Scale {
    from: i32,
    to: i32,
}

impl Scale {
    fn of(report: &Report) -> Self {
        let spreads = || {
            let results = report.cases.iter().flat_map(|case| &case.results);
            results.filter_map(|result| result.figures.get(&Figure::Confirmed))
        };
        let least = spreads()
            .map(|spread| spread.min)
            .fold(f64::INFINITY, f64::min);
        let greatest = spreads().map(|spread| spread.max).fold(0.0, f64::max);
        // A run without a message lies at the axis.
        let from = least.clamp(1.0, 1e6).log10().floor() as i32;
        let to = greatest.clamp(1.0, 1e9).log10().ceil() as i32;
        Self {
            from,
            to: to.max(from + 1),
        }
    }

    fn x(&self, value: f64) -> f64 {
        let (from, to) = (f64::from(self.from), f64::from(self.to));
        LEFT + WIDTH * ((value.max(1.0).log10() - from) / (to - from)).clamp(0.0, 1.0)
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_drawn_and_lies_on_the_page() {
        let mut report = crate::report::tests::report();
        let drawing = svg(&report);
        assert!(drawing.contains("throughput/classic/12B/window-1/x1"));
        assert!(drawing.contains("lab: 10000/s") && drawing.contains("perf-test: 5000/s"));
        assert!(drawing.contains(">x2.00<"));
        report.cases.clear();
        assert!(svg(&report).ends_with("</svg>\n"));
    }

    #[test]
    fn the_scale_is_logarithmic() {
        let scale = Scale { from: 2, to: 4 };
        assert_eq!(scale.x(100.0), LEFT);
        assert_eq!(scale.x(1000.0), LEFT + WIDTH / 2.0);
        assert_eq!(scale.x(0.0), LEFT);
    }
}
