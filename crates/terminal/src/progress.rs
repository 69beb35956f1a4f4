//! What is being waited for, and why: a spinner a line on a terminal, a line a change elsewhere.

use std::{collections::BTreeMap, io::IsTerminal as _, pin::pin, time::Duration};

use anstream::eprintln;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::in_own_words;

/// How often spinners turn.
const TICK: Duration = Duration::from_millis(120);

/// How often a transfer is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Progress of several things at once, on standard error.
pub struct Progress {
    bars: MultiProgress,
    items: BTreeMap<String, Item>,
    is_terminal: bool,
}

struct Item {
    bar: ProgressBar,
    line: String,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            bars: MultiProgress::new(),
            items: BTreeMap::new(),
            is_terminal: std::io::stderr().is_terminal(),
        }
    }
}

impl Progress {
    /// Shows an item of which there is nothing to say yet; elsewhere than on a terminal it stays unsaid.
    pub fn begin(&mut self, name: &str) {
        self.item(name);
    }

    /// Says what an item is doing.
    pub fn update(&mut self, name: &str, line: &str) {
        let line = &in_own_words(line);
        if self.say(name, line) {
            self.item(name).bar.set_message(line.to_string());
        }
    }

    /// Says what an item is doing on a terminal alone: elsewhere each word is a line, and this is not worth one.
    pub fn mention(&mut self, name: &str, line: &str) {
        if self.is_terminal {
            self.update(name, line);
        }
    }

    /// Says that an item is done.
    pub fn finish(&mut self, name: &str, line: &str) {
        let line = &in_own_words(line);
        if self.say(name, line) {
            self.item(name).bar.finish_with_message(line.to_string());
        }
    }

    /// Shows how far a transfer has come while it runs. `bytes` says how many were moved, and of how many.
    pub async fn transfer<T>(
        &mut self,
        name: &str,
        bytes: impl Fn() -> (u64, u64),
        transfer: impl Future<Output = T>,
    ) -> T {
        let mut transfer = pin!(transfer);
        let mut tick = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                result = &mut transfer => return result,
                _ = tick.tick() => {
                    let (done, all) = bytes();
                    if all > 0 {
                        let line = come(done, all, self.is_terminal);
                        self.update(name, &line);
                    }
                }
            }
        }
    }

    /// Takes an item away.
    pub fn drop_item(&mut self, name: &str) {
        if let Some(item) = self.items.remove(name) {
            item.bar.finish_and_clear();
        }
    }

    /// Notes the line; returns whether it is news.
    fn say(&mut self, name: &str, line: &str) -> bool {
        let is_terminal = self.is_terminal;
        let item = self.item(name);
        if item.line == line {
            return false;
        }
        line.clone_into(&mut item.line);
        if !is_terminal {
            eprintln!("{name:<32} {line}");
        }
        true
    }

    fn item(&mut self, name: &str) -> &mut Item {
        let Self {
            bars,
            items,
            is_terminal,
        } = self;
        items.entry(name.to_owned()).or_insert_with(|| Item {
            bar: if *is_terminal {
                spinner(bars, name)
            } else {
                ProgressBar::hidden()
            },
            line: String::new(),
        })
    }
}

/// How far a transfer has come. Where each change is a line of its own, it changes with every tenth.
fn come(done: u64, all: u64, is_terminal: bool) -> String {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    if is_terminal {
        return format!("{:.1} of {:.1} MiB", mib(done), mib(all));
    }
    let tenths = done.saturating_mul(10) / all;
    format!("{} % of {:.0} MiB", tenths * 10, mib(all))
}

fn spinner(bars: &MultiProgress, name: &str) -> ProgressBar {
    let bar = bars.add(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix:<32} {wide_msg}") {
        bar.set_style(style.tick_strings(&["|", "/", "-", "\\", "+"]));
    }
    bar.set_prefix(name.to_owned());
    bar.enable_steady_tick(TICK);
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_told_by_tenths_where_each_is_a_line() {
        let mib = 1 << 20;
        assert_eq!(come(29 * mib, 100 * mib, false), "20 % of 100 MiB");
        assert_eq!(come(100 * mib, 100 * mib, false), "100 % of 100 MiB");
        assert_eq!(come(29 * mib, 100 * mib, true), "29.0 of 100.0 MiB");
    }
}
