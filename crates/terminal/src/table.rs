//! Tables for people: aligned columns without lines, as `kubectl get` prints them.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};

use crate::in_own_words;

/// A table with these column heads.
fn new<const N: usize>(heads: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(heads);
    table
}

/// The table as text, without the padding that the preset leaves at both ends of a line.
fn text(table: &Table) -> String {
    table
        .lines()
        .map(|line| {
            line.strip_prefix(' ')
                .unwrap_or(&line)
                .trim_end()
                .to_owned()
                + "\n"
        })
        .collect()
}

/// Rows whose colour repeats what a word in them says.
pub struct Rows {
    table: Table,
    styles: Vec<Style>,
}

impl Rows {
    /// Rows under these column heads.
    pub fn new<const N: usize>(heads: [&str; N]) -> Self {
        Self {
            table: new(heads),
            styles: vec![Style::new().bold()],
        }
    }

    /// Adds a row in a colour, or in the terminal's own.
    pub fn add<const N: usize>(&mut self, color: Option<AnsiColor>, cells: [&dyn Display; N]) {
        self.table
            .add_row(cells.map(|cell| in_own_words(&cell.to_string()).into_owned()));
        self.styles
            .push(Style::new().fg_color(color.map(Into::into)));
    }

    /// The table as text; what prints it decides whether the colours stay.
    pub fn text(&self) -> String {
        text(&self.table)
            .lines()
            .zip(&self.styles)
            .map(|(line, style)| format!("{style}{line}{style:#}\n"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_coloured_as_a_whole() {
        let mut rows = Rows::new(["NAME"]);
        rows.add(Some(AnsiColor::Red), [&"loki"]);
        let plain = anstream::adapter::strip_str(&rows.text()).to_string();
        assert_eq!(plain, "NAME\nloki\n");
        assert!(rows.text().contains("\u{1b}[31mloki\u{1b}[0m"));
    }

    #[test]
    fn columns_are_aligned_and_lines_end_where_their_text_does() {
        let mut table = new(["NAME", "STATE"]);
        table.add_row(["rabbitmq", "ready"]);
        table.add_row(["loki", ""]);
        assert_eq!(text(&table), "NAME      STATE\nrabbitmq  ready\nloki\n");
    }
}
