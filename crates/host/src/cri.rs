//! Output of processes as CRI logs: `<time> <stream> <F|P> <text>`, in `<directory>/0.log`, rotated by size.
//!
//! The format is that of `kubernetes/cri-api` and containerd, so that one pipeline reads both engines' logs.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Mutex,
};

use jiff::Timestamp;

/// containerd splits lines at 16 KiB, marking all pieces but the last as partial.
const LINE_BYTES: usize = 16 * 1024;

/// The kubelet's default size at which a container's log is rotated.
const ROTATE_BYTES: u64 = 10 * 1024 * 1024;

/// The two output streams of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    const fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// A line of output, or a part of a long one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text<'a> {
    /// A line to its end.
    End(&'a [u8]),
    /// The line goes on. The cut is between two characters.
    Part(&'a [u8]),
}

/// Output as CRI records, without splitting UTF-8 characters.
pub(crate) fn records(time: &Timestamp, stream: Stream, text: Text<'_>) -> Vec<u8> {
    let time = format!("{time:.9}");
    let (mut rest, last_tag) = match text {
        Text::End(bytes) => (bytes, 'F'),
        Text::Part(bytes) => (bytes, 'P'),
    };
    let mut out = Vec::with_capacity(rest.len() + 64);
    loop {
        let cut = cut_at(rest);
        let (piece, tail) = rest.split_at(cut);
        let tag = if tail.is_empty() { last_tag } else { 'P' };
        out.extend_from_slice(format!("{time} {} {tag} ", stream.name()).as_bytes());
        out.extend_from_slice(piece);
        out.push(b'\n');
        if tail.is_empty() {
            return out;
        }
        rest = tail;
    }
}

fn cut_at(bytes: &[u8]) -> usize {
    if bytes.len() <= LINE_BYTES {
        return bytes.len();
    }
    (LINE_BYTES - CONTINUATION_BYTES..=LINE_BYTES)
        .rev()
        .find(|&cut| !is_continuation(bytes[cut]))
        .unwrap_or(LINE_BYTES)
}

/// How many bytes of a UTF-8 character may follow its first one.
pub(crate) const CONTINUATION_BYTES: usize = 3;

/// Whether a byte is one of those, `0b10xxxxxx`.
pub(crate) const fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// The log file of one container, written by the readers of both of its streams.
#[derive(Debug)]
pub(crate) struct CriLog {
    path: PathBuf,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
}

impl CriLog {
    /// Opens `<directory>/0.log` for appending.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let path = directory.join("0.log");
        let open = Mutex::new(Open::append(&path)?);
        Ok(Self { path, open })
    }

    /// Appends output.
    pub(crate) fn write(&self, stream: Stream, text: Text<'_>) -> io::Result<()> {
        let mut open = self
            .open
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // The time is taken under the lock so that the file's records are in the order of their times.
        let records = records(&Timestamp::now(), stream, text);
        open.file.write_all(&records)?;
        open.bytes += records.len() as u64;
        if open.bytes >= ROTATE_BYTES {
            fs::rename(&self.path, self.path.with_extension("log.1"))?;
            *open = Open::append(&self.path)?;
        }
        Ok(())
    }
}

impl Open {
    fn append(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time() -> Timestamp {
        "2026-01-02T03:04:05.000000006Z".parse().unwrap()
    }

    #[test]
    fn a_line_is_one_full_record() {
        let record = records(&time(), Stream::Stderr, Text::End(b"hello"));
        assert_eq!(record, b"2026-01-02T03:04:05.000000006Z stderr F hello\n");
    }

    #[test]
    fn a_part_of_a_line_is_no_full_record() {
        let mut written = records(&time(), Stream::Stdout, Text::Part(b"hel"));
        written.extend(records(&time(), Stream::Stdout, Text::End(b"lo")));
        assert_eq!(read(&written), [b"hello"]);
    }

    #[test]
    fn a_long_line_is_split_into_partial_records_that_join_to_the_line() {
        // Three-byte characters do not divide 16 KiB, so a careless cut would split one.
        let line = "€".repeat(LINE_BYTES);
        let text = String::from_utf8(records(&time(), Stream::Stdout, Text::End(line.as_bytes())))
            .unwrap();
        let mut joined = String::new();
        let mut tags = String::new();
        for record in text.lines() {
            let mut fields = record.splitn(4, ' ').skip(2);
            tags.push_str(fields.next().unwrap());
            joined.push_str(fields.next().unwrap());
        }
        assert_eq!(joined, line);
        assert_eq!(tags, "PPPF");
    }

    #[test]
    fn a_full_log_is_rotated_and_nothing_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let log = CriLog::open(directory.path()).unwrap();
        let line = vec![b'x'; LINE_BYTES];
        let lines = ROTATE_BYTES / LINE_BYTES as u64 + 1;
        for _ in 0..lines {
            log.write(Stream::Stdout, Text::End(&line)).unwrap();
        }
        let count = |name: &str| {
            fs::read_to_string(directory.path().join(name))
                .unwrap()
                .lines()
                .count() as u64
        };
        assert!(count("0.log.1") > 0);
        assert_eq!(count("0.log") + count("0.log.1"), lines);
    }

    /// Reads records as a pipeline does: the pieces of a line joined, each record checked by the format's grammar.
    fn read(records: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        let mut line = Vec::new();
        for record in records.split_inclusive(|&byte| byte == b'\n') {
            let record = record.strip_suffix(b"\n").unwrap();
            let mut fields = record.splitn(4, |&byte| byte == b' ');
            let time = std::str::from_utf8(fields.next().unwrap()).unwrap();
            assert_eq!(time.len(), "2026-01-02T03:04:05.000000006Z".len());
            assert_eq!(time.parse::<Timestamp>().unwrap(), self::time());
            assert_eq!(fields.next(), Some(&b"stdout"[..]));
            let tag = fields.next().unwrap();
            let piece = fields.next().unwrap();
            assert!(piece.len() <= LINE_BYTES);
            line.extend_from_slice(piece);
            match tag {
                b"P" => {}
                b"F" => lines.push(std::mem::take(&mut line)),
                other => panic!("the tag is {other:?}"),
            }
        }
        assert!(line.is_empty(), "the last record is full");
        lines
    }

    #[test]
    fn what_is_written_is_read_whatever_bytes_it_has() {
        let mut random = fastrand::Rng::with_seed(3);
        let continuation = |length| vec![0b1000_0000; length];
        let mut lines = vec![
            Vec::new(),
            b" ".to_vec(),
            b"\r".to_vec(),
            b"F P F".to_vec(),
            b"2026-01-02T03:04:05.000000006Z stdout P within".to_vec(),
        ];
        for length in [LINE_BYTES - 1, LINE_BYTES, LINE_BYTES + 1, 3 * LINE_BYTES] {
            lines.push(vec![b' '; length]);
            lines.push(continuation(length));
        }
        for _ in 0..200 {
            let length = random.usize(0..3 * LINE_BYTES);
            let mut line: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
            line.retain(|&byte| byte != b'\n');
            lines.push(line);
        }
        let written: Vec<u8> = lines
            .iter()
            .flat_map(|line| records(&time(), Stream::Stdout, Text::End(line)))
            .collect();
        assert_eq!(read(&written), lines);
    }
}
