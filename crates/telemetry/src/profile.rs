//! CPU profiles, from the one profiler that a process can have.
//!
//! A process has one `SIGPROF` handler and one profiling timer. The profiler (pprof-rs, inside the pyroscope crate)
//! therefore runs once, behind a [`Sampler`] that gives each [`Recording`] a copy of all samples taken since it began:
//! the push to Pyroscope records for ever, a request for a profile records for some seconds, and neither takes samples
//! from the other. The timer runs only while something records; afterwards the signal is ignored, never reset to its
//! default, which would end the process.
//!
//! The profiler keeps an overflow file in the temporary folder, which must be writable. From the first recording on it
//! holds tens of MiB: its buckets, and the symbols of the program. Frames have full names (`messaging::publisher::..`) when
//! a crate is built with limited debug information or none, and lose their paths with line tables only.

mod push;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use pyroscope::PyroscopeError;
use pyroscope::backend::{
    Backend, BackendConfig, Pprof, PprofConfig, Report, ReportData, StackBuffer,
};
use pyroscope::encode::pprof;

pub use push::Pusher;

/// Samples a second of CPU time; the usual rate, and below one per cent of overhead.
const SAMPLE_RATE_HZ: u32 = 100;

/// The process's profiler, shared by all recordings.
#[derive(Clone, Default)]
pub struct Sampler {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Present while something records.
    profiler: Option<Pprof<'static>>,
    /// Samples not yet taken, by recording.
    recordings: BTreeMap<u64, StackBuffer>,
    next_id: u64,
}

/// A stretch of time whose samples are kept; dropping it ends it.
pub struct Recording {
    sampler: Sampler,
    id: u64,
    since: SystemTime,
}

/// The samples of one stretch of time.
pub struct Profile {
    reports: Vec<Report>,
    since: SystemTime,
    duration: Duration,
}

impl Sampler {
    /// Begins to record, and starts the profiler if nothing records yet. Blocks while symbols are read.
    ///
    /// # Errors
    ///
    /// The profiler cannot start, usually because the temporary folder is not writable.
    pub fn record(&self) -> Result<Recording, PyroscopeError> {
        let mut state = self.lock();
        if state.profiler.is_some() {
            // Samples taken until now belong to the older recordings alone.
            state.distribute()?;
        } else {
            let mut profiler = Pprof::new(
                PprofConfig {
                    sample_rate: SAMPLE_RATE_HZ,
                },
                BackendConfig::default(),
            );
            profiler.initialize()?;
            state.profiler = Some(profiler);
        }
        let id = state.next_id;
        state.next_id += 1;
        state.recordings.insert(id, StackBuffer::default());
        Ok(Recording {
            sampler: self.clone(),
            id,
            since: SystemTime::now(),
        })
    }

    /// A report that panicked half way loses samples, nothing else.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recording {
    /// The samples since the beginning, or since they were last taken. Blocks while stacks are symbolised.
    ///
    /// # Errors
    ///
    /// The profiler cannot read its samples back.
    pub fn take(&mut self) -> Result<Profile, PyroscopeError> {
        let mut state = self.sampler.lock();
        state.distribute()?;
        let samples = state
            .recordings
            .get_mut(&self.id)
            .map(std::mem::take)
            .unwrap_or_default();
        drop(state);

        let since = std::mem::replace(&mut self.since, SystemTime::now());
        let duration = self.since.duration_since(since).unwrap_or_default();
        Ok(Profile {
            reports: samples.into(),
            since,
            duration,
        })
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let mut state = self.sampler.lock();
        state.recordings.remove(&self.id);
        if state.recordings.is_empty() {
            // Stops the timer and ignores the signal.
            state.profiler = None;
        }
    }
}

impl State {
    /// Moves the profiler's samples into each recording.
    fn distribute(&mut self) -> Result<(), PyroscopeError> {
        let Some(profiler) = &mut self.profiler else {
            return Ok(());
        };
        let ReportData::Reports(reports) = profiler.report()?.data else {
            return Ok(());
        };
        for (stack, count) in reports.iter().flat_map(Report::iter) {
            for samples in self.recordings.values_mut() {
                samples.record_with_count(stack.clone(), *count)?;
            }
        }
        Ok(())
    }
}

impl Profile {
    /// The profile in pprof's protobuf format (`profile.proto` of google/pprof), not compressed.
    pub fn to_pprof(&self) -> Vec<u8> {
        let since = self.since.duration_since(UNIX_EPOCH).unwrap_or_default();
        pprof::encode(
            &self.reports,
            SAMPLE_RATE_HZ,
            nanoseconds(since),
            nanoseconds(self.duration),
        )
        .encode_to_vec()
    }
}

/// `bytes` as a gzip member, fast rather than small: profiles are made on the service's own CPU.
pub fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}
