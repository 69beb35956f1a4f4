//! `ARCHITECTURE.md` and the enum of arrows draw the same picture.

use std::collections::BTreeSet;

use blueprint::{Arrow, Diagram};

const PAGE: &str = include_str!("../../../ARCHITECTURE.md");

/// The arrows of the diagram under the heading `### N. Title`, as ids.
fn drawn(diagram: Diagram) -> BTreeSet<String> {
    let heading = format!("### {}. {}\n", diagram.number(), diagram.title());
    let section = PAGE
        .split_once(&heading)
        .unwrap_or_else(|| panic!("ARCHITECTURE.md has no heading `{}`", heading.trim()))
        .1;
    let code = section
        .split_once("```mermaid\n")
        .and_then(|(_, rest)| rest.split_once("```"))
        .unwrap_or_else(|| panic!("no mermaid block under `{}`", heading.trim()))
        .0;
    code.lines()
        .filter(|line| line.contains("-->"))
        .map(arrow_id)
        .collect()
}

/// `a -->|label| b` as the id `a->b (label)`.
fn arrow_id(line: &str) -> String {
    let (from, rest) = line.split_once("-->").expect("an arrow");
    let rest = rest.trim();
    match rest.strip_prefix('|').and_then(|rest| rest.split_once('|')) {
        Some((label, to)) => format!("{}->{} ({label})", from.trim(), to.trim()),
        None => format!("{}->{rest}", from.trim()),
    }
}

#[test]
fn every_drawn_arrow_exists_and_every_arrow_is_drawn() {
    for diagram in Diagram::ALL {
        let declared: BTreeSet<String> = Arrow::ALL
            .into_iter()
            .filter(|arrow| arrow.diagram() == diagram)
            .map(Arrow::id)
            .collect();
        assert_eq!(drawn(diagram), declared, "diagram {}", diagram.number());
    }
}

#[test]
fn no_arrow_is_drawn_twice() {
    let lines = PAGE.lines().filter(|line| line.contains("-->")).count();
    assert_eq!(lines, Arrow::ALL.len());
}
