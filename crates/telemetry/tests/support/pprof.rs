//! Reads profiles as pprof's own tools do.

#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;
use prost::Message;
use pyroscope::encode::r#gen::google::Profile;

pub fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

pub fn decode(bytes: &[u8]) -> Profile {
    Profile::decode(bytes).unwrap()
}

/// CPU nanoseconds of the stacks in which a function's name contains `name`.
pub fn nanoseconds_in(profile: &Profile, name: &str) -> i64 {
    let text = |index: i64| profile.string_table[usize::try_from(index).unwrap()].as_str();
    let functions: BTreeMap<u64, &str> = profile
        .function
        .iter()
        .map(|function| (function.id, text(function.name)))
        .collect();
    let locations: BTreeMap<u64, bool> = profile
        .location
        .iter()
        .map(|location| {
            let named = location
                .line
                .iter()
                .any(|line| functions[&line.function_id].contains(name));
            (location.id, named)
        })
        .collect();
    profile
        .sample
        .iter()
        .filter(|sample| sample.location_id.iter().any(|id| locations[id]))
        .map(|sample| sample.value[0])
        .sum()
}
