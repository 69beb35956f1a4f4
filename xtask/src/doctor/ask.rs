//! Programs asked for what they know, each within a bound.

use std::{io::ErrorKind, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

/// A program that says nothing for this long is taken for dead.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What became of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Its standard output.
    Said(String),
    /// It ended with an error: what it said about that.
    Failed(String),
    /// It did not end in time.
    Silent,
    /// It is not on PATH.
    Missing,
}

impl Answer {
    pub(super) fn said(&self) -> Option<&str> {
        match self {
            Self::Said(text) => Some(text),
            Self::Failed(_) | Self::Silent | Self::Missing => None,
        }
    }
}

pub(super) async fn ask(program: &str, arguments: &[&str]) -> Answer {
    ask_within(PATIENCE, program, arguments).await
}

async fn ask_within(patience: Duration, program: &str, arguments: &[&str]) -> Answer {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match timeout(patience, output).await {
        Err(_elapsed) => return Answer::Silent,
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => return Answer::Missing,
        Ok(Err(error)) => return Answer::Failed(error.to_string()),
        Ok(Ok(output)) => output,
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Answer::Said(text(&output.stdout));
    }
    let said = [text(&output.stderr), text(&output.stdout)];
    let said = said.into_iter().find(|said| !said.is_empty());
    Answer::Failed(said.unwrap_or_else(|| output.status.to_string()))
}

/// `major.minor` of a version as programs print it: `v1.35.0`, `20.10.24+dfsg1`, `kustomize/v5.8.1`.
pub(super) fn major_minor(version: &str) -> Option<(u32, u32)> {
    let version = version.rsplit('/').next()?.trim_start_matches('v');
    let mut parts = version.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor: String = parts
        .next()?
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    Some((major, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_end_of_a_question_is_told_apart() {
        assert_eq!(
            ask("sh", &["-c", "echo yes"]).await,
            Answer::Said("yes".to_owned())
        );
        assert_eq!(
            ask("sh", &["-c", "echo no >&2; exit 1"]).await,
            Answer::Failed("no".to_owned())
        );
        assert_eq!(
            ask("sh", &["-c", "exit 3"]).await,
            Answer::Failed("exit status: 3".to_owned())
        );
        assert_eq!(
            ask("no-such-program-of-the-lab", &[]).await,
            Answer::Missing
        );
        let soon = Duration::from_millis(50);
        assert_eq!(ask_within(soon, "sleep", &["60"]).await, Answer::Silent);
    }

    #[test]
    fn versions_are_read_as_programs_print_them() {
        let table = [
            ("v0.31.0", Some((0, 31))),
            ("20.10.24+dfsg1", Some((20, 10))),
            ("v1.32+", Some((1, 32))),
            ("kustomize/v5.8.1", Some((5, 8))),
            ("unknown", None),
        ];
        for (text, expected) in table {
            assert_eq!(major_minor(text), expected, "{text}");
        }
    }
}
