//! `--timings`: when each unit was started and when it was ready, drawn to scale.

use std::fmt::Write as _;

use host::UnitStatus;
use jiff::Timestamp;

/// Width of the chart in characters.
const WIDTH: f64 = 48.0;

/// One unit's interval in seconds since bootstrap began.
#[derive(Debug, PartialEq)]
struct Bar {
    name: String,
    start: f64,
    ready: f64,
}

/// The chart of the units that were started since `begin`: dots until a unit was started, a bar until it was ready.
pub fn draw(units: &[UnitStatus], begin: Timestamp) -> String {
    let since = |time: Timestamp| time.duration_since(begin).as_secs_f64();
    let bars: Vec<_> = units
        .iter()
        .filter_map(|status| {
            Some(Bar {
                name: status.unit.name.clone(),
                start: since(status.started_at?),
                ready: since(status.ready_at?),
            })
        })
        .filter(|bar| bar.start >= 0.0)
        .collect();
    if bars.is_empty() {
        return "No unit was started.\n".to_owned();
    }
    chart(bars)
}

fn chart(mut bars: Vec<Bar>) -> String {
    bars.sort_by(|a, b| {
        a.start
            .total_cmp(&b.start)
            .then(a.ready.total_cmp(&b.ready))
    });
    let end = bars.iter().map(|bar| bar.ready).fold(0.0, f64::max);
    let column = |seconds: f64| {
        if end == 0.0 {
            return 0;
        }
        // Both are at most WIDTH, so the cast keeps the value.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0..=WIDTH"
        )]
        let column = (seconds / end * WIDTH).round() as usize;
        column
    };
    let mut text = String::new();
    for bar in bars {
        let (start, ready) = (column(bar.start), column(bar.ready));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<14} {:>5.1} s  {}{}",
            bar.name,
            bar.ready - bar.start,
            ".".repeat(start),
            "#".repeat((ready - start).max(1)),
        );
    }
    let _ = writeln!(text, "{:<14} {end:>5.1} s", "all");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_to_scale_and_in_the_order_of_their_start() {
        let bar = |name: &str, start, ready| Bar {
            name: name.to_owned(),
            start,
            ready,
        };
        let text = chart(vec![bar("producer", 3.0, 4.0), bar("rabbitmq", 0.0, 3.0)]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            format!("rabbitmq         3.0 s  {}", "#".repeat(36))
        );
        assert_eq!(
            lines[1],
            format!(
                "producer         1.0 s  {}{}",
                ".".repeat(36),
                "#".repeat(12)
            )
        );
        assert_eq!(lines[2], "all              4.0 s");
    }
}
