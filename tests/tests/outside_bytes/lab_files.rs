//! `lab.json`, which a person or a full disk may have changed.

use std::fs;

use lab::{Engine, Lab, LabError};
use proptest::prelude::*;

/// A directory with a lab in it, and what its file says.
fn lab() -> (tempfile::TempDir, Lab, Vec<u8>) {
    let state = tempfile::tempdir().unwrap();
    let lab = Lab::at(state.path(), "default");
    lab.load_or_create(&Engine::Host).unwrap();
    let text = fs::read(path(&lab)).unwrap();
    (state, lab, text)
}

fn path(lab: &Lab) -> std::path::PathBuf {
    lab.socket().with_file_name("lab.json")
}

fn check(lab: &Lab, bytes: &[u8]) {
    fs::write(path(lab), bytes).unwrap();
    match lab.load() {
        Ok(found) => assert!(found.is_some(), "the file is there"),
        Err(LabError::Malformed { .. } | LabError::Version { .. } | LabError::File { .. }) => {}
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_file_that_was_cut_off_is_refused() {
    let (_state, lab, text) = lab();
    for end in 0..text.trim_ascii_end().len() {
        fs::write(path(&lab), &text[..end]).unwrap();
        assert!(lab.load().is_err(), "the first {end} bytes");
    }
}

#[test]
fn a_flipped_bit_is_refused_or_read_as_what_it_says() {
    let (_state, lab, text) = lab();
    for bit in 0..text.len() * 8 {
        let mut flipped = text.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        check(&lab, &flipped);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn no_bytes_break_the_reader(bytes: Vec<u8>) {
        check(&lab().1, &bytes);
    }
}
