//! Readers of bytes from outside, met with any bytes: what was written reads back, and what was not is refused, never a panic.
//!
//! Readers that are private to their crate have such tests beside them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod any_value;
mod duplicates;
mod envelopes;
mod journals;
mod journals_followed;
mod lab_files;
mod ranges;
mod trace_headers;
