//! Reads the part of a pprof profile that a flame graph needs.
//!
//! Field numbers are those of `profile.proto` in google/pprof; strings are indices into `string_table`.

use std::{collections::BTreeMap, io::Read as _};

use anyhow::Context as _;
use flate2::read::GzDecoder;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct Profile {
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    /// Leaf first.
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    /// The first value is the number of samples.
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    /// More than one where calls were inlined: the innermost first.
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
}

impl Profile {
    /// Reads a gzip-compressed profile.
    pub fn read(bytes: &[u8]) -> anyhow::Result<Self> {
        let mut plain = Vec::new();
        GzDecoder::new(bytes)
            .read_to_end(&mut plain)
            .context("it is not gzip")?;
        Self::decode(plain.as_slice()).context("it is not a pprof profile")
    }

    /// Its stacks, root first, each with its number of samples: `frame;frame count`.
    pub fn folded(&self) -> Vec<String> {
        let functions: BTreeMap<u64, &str> = self
            .function
            .iter()
            .map(|function| (function.id, self.string(function.name)))
            .collect();
        let frames: BTreeMap<u64, Vec<&str>> = self
            .location
            .iter()
            .map(|location| {
                let names = location
                    .line
                    .iter()
                    .map(|line| functions.get(&line.function_id).copied().unwrap_or("?"))
                    .collect();
                (location.id, names)
            })
            .collect();
        let mut stacks: BTreeMap<String, i64> = BTreeMap::new();
        for sample in &self.sample {
            let stack: Vec<String> = sample
                .location_id
                .iter()
                .rev()
                .filter_map(|id| frames.get(id))
                .flat_map(|names| names.iter().rev())
                // A semicolon separates frames in folded stacks; Rust has it in array types.
                .map(|name| name.replace(';', ","))
                .collect();
            *stacks.entry(stack.join(";")).or_default() += sample.value.first().unwrap_or(&0);
        }
        stacks
            .into_iter()
            .filter(|(stack, count)| !stack.is_empty() && *count > 0)
            .map(|(stack, count)| format!("{stack} {count}"))
            .collect()
    }

    fn string(&self, index: i64) -> &str {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.string_table.get(index))
            .map_or("?", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        let line = |function_id| Line { function_id };
        Profile {
            string_table: ["", "main", "inlined", "leaf"].map(str::to_owned).into(),
            function: vec![
                Function { id: 1, name: 1 },
                Function { id: 2, name: 2 },
                Function { id: 3, name: 3 },
            ],
            location: vec![
                Location {
                    id: 10,
                    line: vec![line(2), line(1)],
                },
                Location {
                    id: 11,
                    line: vec![line(3)],
                },
            ],
            sample: vec![
                Sample {
                    location_id: vec![11, 10],
                    value: vec![2, 20_000_000],
                },
                Sample {
                    location_id: vec![11, 10],
                    value: vec![1, 10_000_000],
                },
            ],
        }
    }

    #[test]
    fn stacks_are_folded_from_the_root_with_inlined_calls_in_their_order() {
        assert_eq!(profile().folded(), ["main;inlined;leaf 3"]);
    }

    #[test]
    fn what_is_no_profile_is_refused() {
        assert!(Profile::read(b"<html>").is_err());
    }
}
