//! Draws folded stacks as a flame graph.

use anyhow::Context as _;
use inferno::flamegraph::{Options, from_lines};

/// An SVG of the stacks, each a line `frame;frame count`.
pub fn draw(title: &str, stacks: &[String]) -> anyhow::Result<Vec<u8>> {
    let mut options = Options::default();
    title.clone_into(&mut options.title);
    options.count_name = "samples".to_owned();
    let mut svg = Vec::new();
    from_lines(&mut options, stacks.iter().map(String::as_str), &mut svg)
        .context("cannot draw the flame graph")?;
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_in_the_picture() {
        let stacks = ["main;work 3".to_owned(), "main;rest 1".to_owned()];
        let svg = String::from_utf8(draw("a title", &stacks).unwrap()).unwrap();
        for text in ["a title", "work", "rest"] {
            assert!(svg.contains(text), "{text}");
        }
    }
}
