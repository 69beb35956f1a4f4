//! A measured process: a group of its own, its output in a file, gone when it is dropped.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::BenchError;

/// How much of a program's output an error repeats.
const LAST_WORDS: usize = 400;

/// A running process. Dropping it kills its group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: Pid,
    output: PathBuf,
}

impl Process {
    /// Starts the command; `name` is its name in errors and that of its output file in `folder`.
    ///
    /// # Errors
    ///
    /// The command or its output file cannot be had.
    pub fn start(name: String, mut command: Command, folder: &Path) -> Result<Self, BenchError> {
        let output = folder.join(format!("{name}.log"));
        let file = File::create(&output).map_err(BenchError::file("create", &output))?;
        let errors = file
            .try_clone()
            .map_err(BenchError::file("open", &output))?;
        let start = |source| BenchError::Start {
            program: name.clone(),
            source,
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            // Ctrl-C in a terminal is for the measurement, which then ends its processes itself.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(start)?;
        let pid = child
            .id()
            .and_then(|id| Pid::from_raw(id.cast_signed()))
            .ok_or_else(|| start(std::io::Error::other("it ended before it was seen")))?;
        Ok(Self {
            name,
            child,
            pid,
            output,
        })
    }

    /// The process's id.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// What it has written. Bytes that are no UTF-8 are replaced.
    pub fn output(&self) -> String {
        fs::read(&self.output).map_or_else(
            |error| format!("(its output cannot be read: {error})"),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Demands that it runs.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn check(&mut self) -> Result<(), BenchError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.ended(&status.to_string())),
            Err(error) => Err(self.ended(&error.to_string())),
        }
    }

    /// Asks it to end, and demands that it does so well.
    ///
    /// # Errors
    ///
    /// It takes longer than `bound`, or ends with a failure.
    pub async fn stop(&mut self, bound: Duration) -> Result<(), BenchError> {
        // One that has ended needs no signal; the wait tells how it ended.
        let _ = kill_process(self.pid, Signal::TERM);
        self.wait(bound).await
    }

    /// Waits for its end, and demands that it is a good one.
    ///
    /// # Errors
    ///
    /// It takes longer than `bound`, or ends with a failure.
    pub async fn wait(&mut self, bound: Duration) -> Result<(), BenchError> {
        match timeout(bound, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(status) => Err(self.ended(&told(status))),
            Err(_) => Err(BenchError::GaveUp {
                what: format!("{} to end", self.name),
                waited: bound,
                last: last_words(&self.output()),
            }),
        }
    }

    fn ended(&self, status: &str) -> BenchError {
        BenchError::Ended {
            program: self.name.clone(),
            status: status.to_owned(),
            words: last_words(&self.output()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An id is another's once its process was waited for.
        if matches!(self.child.try_wait(), Ok(None)) {
            // A group that is gone needs no signal.
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }
}

fn told(status: std::io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

fn last_words(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() {
        return "nothing".to_owned();
    }
    let mut from = text.len().saturating_sub(LAST_WORDS);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, folder: &Path) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("sh".to_owned(), command, folder).unwrap()
    }

    #[tokio::test]
    async fn a_bad_end_is_told_with_the_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("echo out of cheese; exit 3", folder.path());
        let error = process.wait(Duration::from_secs(10)).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("exit status: 3") && text.contains("out of cheese"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn dropping_ends_what_the_process_has_started_too() {
        let folder = tempfile::tempdir().unwrap();
        let process = shell("sleep 60 & sleep 60", folder.path());
        let group = process.pid();
        drop(process);
        let gone = async {
            while !crate::proc::members(group).unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), gone)
            .await
            .expect("an empty group");
    }

    #[test]
    fn last_words_do_not_cut_a_character() {
        let text = "ü".repeat(LAST_WORDS);
        assert!(last_words(&format!("{text}x")).len() <= LAST_WORDS);
        assert_eq!(last_words(" \n"), "nothing");
    }
}
