//! A command of the lab, its standard error read line by line while it runs.

use std::{
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    process::{Command, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::group::Group;

/// How long a command may say nothing. Longer than the longest wait that a test waits for.
const SILENCE: Duration = Duration::from_secs(120);

/// What should become of a command that has said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It goes on.
    Go,
    /// It is killed, with all that it has started.
    Kill,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; `None` when it was killed.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// The lines of its standard error.
    pub lines: Vec<String>,
}

impl Said {
    /// Demands an exit code and shows everything that was said otherwise.
    #[track_caller]
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Demands that a line of standard error begins so; returns it.
    #[track_caller]
    pub fn line(&self, beginning: &str) -> &str {
        let found = self.lines.iter().find(|line| line.starts_with(beginning));
        found.unwrap_or_else(|| panic!("no line begins with `{beginning}`: {self:#?}"))
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

pub(super) fn run(mut command: Command, mut watch: impl FnMut(&str) -> Next) -> Said {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut stdout = tempfile::tempfile().expect("a file");
    command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone().expect("a second handle"))
        .stderr(writer);
    let mut group = Group::start(&mut command);
    // With it goes the writing end that this process holds.
    drop(command);
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut said = Vec::new();
    let mut killed = false;
    loop {
        match lines.recv_timeout(SILENCE) {
            // What was on its way when it was killed is heard to the end.
            Ok(line) => {
                if !killed && watch(&line) == Next::Kill {
                    group.kill();
                    killed = true;
                }
                said.push(line);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => panic!("nothing since {SILENCE:?}: {said:#?}"),
        }
    }
    let status = group.wait();
    let mut text = String::new();
    stdout.seek(SeekFrom::Start(0)).expect("a file");
    stdout.read_to_string(&mut text).expect("a readable file");
    Said {
        code: status.code(),
        stdout: text,
        lines: said,
    }
}
