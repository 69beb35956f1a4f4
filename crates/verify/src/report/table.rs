//! The report as a table for a terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use blueprint::Diagram;
use comfy_table::{ContentArrangement, Table, presets};

use super::{ArrowReport, Falsification, Report, Status, Summary};

/// How the table is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableStyle {
    /// Whether the states carry colours; their names and marks are there either way.
    pub colour: bool,
    /// The columns of the terminal, where there is one.
    pub width: Option<u16>,
}

impl Status {
    const fn style(self) -> Style {
        let colour = match self {
            Self::Proven => AnsiColor::Green,
            Self::Broken => AnsiColor::Red,
            Self::Absent => AnsiColor::Yellow,
        };
        colour.on_default()
    }
}

impl Report {
    /// A table a diagram, the remedies of what is broken or absent, and a line with the sums; a line feed at the end.
    pub fn to_table(&self, style: TableStyle) -> String {
        let mut text = String::new();
        for diagram in Diagram::ALL {
            let arrows: Vec<_> = self
                .arrows
                .iter()
                .filter(|report| report.arrow.diagram() == diagram)
                .collect();
            if !arrows.is_empty() {
                text.push_str(&format!("{}. {}\n", diagram.number(), diagram.title()));
                text.push_str(&diagram_table(&arrows, style));
                text.push('\n');
            }
        }
        text.push_str(&self.remedies());
        text.push_str(&self.sums());
        text
    }

    /// Each remedy once, with what it mends.
    fn remedies(&self) -> String {
        let mut remedies: Vec<(&str, Vec<String>)> = Vec::new();
        for report in &self.arrows {
            let Some(remedy) = report.remedy() else {
                continue;
            };
            match remedies.iter_mut().find(|(known, _)| *known == remedy) {
                Some((_, arrows)) => arrows.push(report.arrow.id()),
                None => remedies.push((remedy, vec![report.arrow.id()])),
            }
        }
        let mut text = String::new();
        for (remedy, arrows) in &remedies {
            // Three name the matter; the table lists the rest.
            let shown = arrows.iter().take(3).map(String::as_str);
            let mut names = shown.collect::<Vec<_>>().join(", ");
            if arrows.len() > 3 {
                let _ = write!(names, " and {} more", arrows.len() - 3);
            }
            text.push_str(&format!("hint: {names}: {remedy}\n"));
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }

    fn sums(&self) -> String {
        let Summary {
            proven,
            broken,
            absent,
        } = self.summary();
        let falsified = |wanted: bool| {
            self.arrows
                .iter()
                .filter(|report| report.outcome.status() != Status::Absent)
                .filter_map(|report| report.falsification.as_ref())
                .filter(|falsification| (**falsification == Falsification::Falsified) == wanted)
                .count()
        };
        let (falsified, not_falsified) = (falsified(true), falsified(false));
        let falsification = if falsified + not_falsified == 0 {
            String::new()
        } else {
            format!("; {falsified} falsified, {not_falsified} not")
        };
        format!(
            "{} arrows of lab {} ({}): {proven} proven, {broken} broken, {absent} absent{falsification}; {:.1} s\n",
            self.arrows.len(),
            self.lab,
            self.engine,
            seconds(self.took_ms)
        )
    }
}

fn diagram_table(arrows: &[&ArrowReport], style: TableStyle) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    if let Some(width) = style.width {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width);
    }
    for report in arrows {
        let status = report.outcome.status();
        table.add_row([
            format!("{} {}", status.mark(), status.name()),
            report.arrow.id(),
            format!("{:>6.2} s", seconds(report.took_ms)),
            falsification_word(report).to_owned(),
            report.words().to_owned(),
        ]);
    }
    if arrows.iter().all(|report| report.falsification.is_none()) {
        // No falsification was asked for: no column for it.
        if let Some(column) = table.column_mut(3) {
            column.set_constraint(comfy_table::ColumnConstraint::Hidden);
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(&coloured(line.trim_end(), style));
        text.push('\n');
    }
    text
}

fn falsification_word(report: &ArrowReport) -> &'static str {
    match (&report.falsification, report.outcome.status()) {
        (None, _) | (_, Status::Absent) => "",
        (Some(Falsification::Falsified), _) => "falsified",
        (Some(Falsification::NotFalsified { .. }), _) => "NOT falsified",
    }
}

/// Colours the state at the beginning of a line; the further lines of a wrapped cell have none.
fn coloured(line: &str, style: TableStyle) -> String {
    for status in [Status::Proven, Status::Broken, Status::Absent] {
        let word = format!("{} {}", status.mark(), status.name());
        if style.colour
            && let Some(rest) = line.trim_start().strip_prefix(&word)
        {
            let style = status.style();
            return format!(" {style}{word}{style:#}{rest}");
        }
    }
    line.to_owned()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the duration of a verification is exact"
)]
fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}
