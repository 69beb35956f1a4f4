//! What is being waited for, and why: a spinner a line on a terminal, a line a change elsewhere.

use std::{collections::BTreeMap, io::IsTerminal as _, time::Duration};

use anstream::eprintln;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often spinners turn.
const TICK: Duration = Duration::from_millis(120);

/// Progress of several things at once, on standard error.
pub struct Progress {
    bars: MultiProgress,
    items: BTreeMap<String, Item>,
    is_terminal: bool,
}

struct Item {
    bar: ProgressBar,
    line: String,
    finished: bool,
}

impl Progress {
    /// Starts without items.
    pub fn new() -> Self {
        Self {
            bars: MultiProgress::new(),
            items: BTreeMap::new(),
            is_terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Says what an item is doing.
    pub fn update(&mut self, name: &str, line: &str) {
        self.show(name, line, false);
    }

    /// Says that an item is done.
    pub fn finish(&mut self, name: &str, line: &str) {
        self.show(name, line, true);
    }

    fn show(&mut self, name: &str, line: &str, finished: bool) {
        if let Some(item) = self.items.get_mut(name) {
            if item.line == line && item.finished == finished {
                return;
            }
            line.clone_into(&mut item.line);
            item.finished = finished;
        } else {
            let item = Item {
                bar: self.bar(name),
                line: line.to_owned(),
                finished,
            };
            self.items.insert(name.to_owned(), item);
        }
        if !self.is_terminal {
            eprintln!("{name:<16} {line}");
            return;
        }
        if let Some(item) = self.items.get(name) {
            if finished {
                item.bar.finish_with_message(line.to_owned());
            } else {
                item.bar.set_message(line.to_owned());
            }
        }
    }

    fn bar(&self, name: &str) -> ProgressBar {
        if !self.is_terminal {
            return ProgressBar::hidden();
        }
        let bar = self.bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix:<16} {wide_msg}") {
            bar.set_style(style.tick_strings(&["|", "/", "-", "\\", "+"]));
        }
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(TICK);
        bar
    }
}
