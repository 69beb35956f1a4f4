//! The report as the diagrams themselves: Markdown with a Mermaid flowchart a diagram, each arrow in its state.

use std::fmt::Write as _;

use blueprint::Diagram;

use super::{ArrowReport, Report, Status};

impl Status {
    /// The stroke of an arrow: the colours of a terminal, dashed where nothing flows.
    const fn stroke(self) -> &'static str {
        match self {
            Self::Proven => "stroke:#2e7d32,stroke-width:2px",
            Self::Broken => "stroke:#c62828,stroke-width:3px",
            Self::Absent => "stroke:#9e9e9e,stroke-width:1px,stroke-dasharray:4",
        }
    }
}

impl Report {
    /// Markdown: a heading and a flowchart for each diagram with arrows in the report. The text on an arrow carries its
    /// state too, for those who do not see the colours.
    pub fn to_mermaid(&self) -> String {
        let mut text = format!(
            "# Arrows of lab {} ({}), {:.0}\n",
            self.lab, self.engine, self.started_at
        );
        for diagram in Diagram::ALL {
            let arrows: Vec<_> = self
                .arrows
                .iter()
                .filter(|report| report.arrow.diagram() == diagram)
                .collect();
            if !arrows.is_empty() {
                let _ = write!(
                    text,
                    "\n## {}. {}\n\n```mermaid\n{}```\n",
                    diagram.number(),
                    diagram.title(),
                    flowchart(&arrows)
                );
            }
        }
        text
    }
}

fn flowchart(arrows: &[&ArrowReport]) -> String {
    let mut text = String::from("flowchart LR\n");
    let mut nodes: Vec<&str> = Vec::new();
    for report in arrows {
        for node in [report.arrow.from().name(), report.arrow.to().name()] {
            if !nodes.contains(&node) {
                nodes.push(node);
                let _ = writeln!(text, "    {}[\"{node}\"]", id(node));
            }
        }
    }
    for report in arrows {
        let _ = writeln!(
            text,
            "    {} -->|\"{}\"| {}",
            id(report.arrow.from().name()),
            label(report),
            id(report.arrow.to().name())
        );
    }
    // Links are numbered in the order in which they are drawn.
    for (number, report) in arrows.iter().enumerate() {
        let stroke = report.outcome.status().stroke();
        let _ = writeln!(text, "    linkStyle {number} {stroke}");
    }
    text
}

fn label(report: &ArrowReport) -> String {
    let status = report.outcome.status();
    let state = format!("{} {}", status.mark(), status.name());
    match report.arrow.label() {
        Some(label) => format!("{label}: {state}"),
        None => state,
    }
}

/// A name as Mermaid takes it for an id: a hyphen would begin an arrow.
fn id(name: &str) -> String {
    name.replace('-', "_")
}
