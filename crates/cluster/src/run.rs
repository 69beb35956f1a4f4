//! Programs that the engine drives, through xshell: each within a bound, with what it said kept for the error.

use std::{env, io::ErrorKind, process::Stdio, time::Duration};

use tokio::{io::AsyncWriteExt as _, process, time::timeout};
use xshell::Cmd;

use crate::ClusterError;

/// As much of a program's output as an error quotes.
const QUOTE: usize = 2000;

/// Runs the command and returns its standard output.
///
/// # Errors
/// When the program is missing, ends with an error, or does not end within `bound`; it is ended then.
pub(crate) async fn run(command: Cmd<'_>, bound: Duration) -> Result<String, ClusterError> {
    run_with(command, bound, "").await
}

/// [`run`] with an input.
pub(crate) async fn run_with(
    command: Cmd<'_>,
    bound: Duration,
    input: &str,
) -> Result<String, ClusterError> {
    let shown = command.to_string();
    run_command(command.into(), &shown, bound, input).await
}

/// [`run_with`] for a command that somebody else has put together; `shown` is how it could be typed.
pub(crate) async fn run_command(
    command: std::process::Command,
    shown: &str,
    bound: Duration,
    input: &str,
) -> Result<String, ClusterError> {
    let failed = |said: String| ClusterError::Program {
        command: shown.to_owned(),
        said,
    };
    let mut child = process::Command::from(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| missing_or(shown, error))?;
    let stdin = child.stdin.take();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program that ends early does not read all of it; its exit status says what is wrong.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let ended = timeout(bound, async {
        tokio::join!(feed, child.wait_with_output()).1
    })
    .await;
    let output = ended
        .map_err(|_elapsed| ClusterError::ProgramHung {
            command: shown.to_owned(),
            bound,
        })?
        .map_err(|error| failed(error.to_string()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said = text(&output.stderr);
    let said = if said.trim().is_empty() {
        text(&output.stdout)
    } else {
        said
    };
    Err(failed(match end_of(&said) {
        "" => output.status.to_string(),
        said => said.to_owned(),
    }))
}

/// Demands programs before anything is made with the first of them.
///
/// # Errors
/// With the first that is not on `PATH`.
pub(crate) fn require(programs: &[&str]) -> Result<(), ClusterError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = |program: &&&str| {
        env::split_paths(&path).any(|directory| directory.join(program).is_file())
    };
    match programs.iter().find(|program| !is_there(program)) {
        Some(program) => Err(ClusterError::MissingProgram {
            program: (*program).to_owned(),
            remedy: remedy(program),
        }),
        None => Ok(()),
    }
}

fn missing_or(command: &str, error: std::io::Error) -> ClusterError {
    let program = command.split_whitespace().next().unwrap_or_default();
    if error.kind() == ErrorKind::NotFound {
        return ClusterError::MissingProgram {
            program: program.to_owned(),
            remedy: remedy(program),
        };
    }
    ClusterError::Program {
        command: command.to_owned(),
        said: error.to_string(),
    }
}

fn remedy(program: &str) -> &'static str {
    match program {
        "docker" => {
            "install Docker or Podman (Debian: `sudo apt-get install docker.io`), or bootstrap with --engine host"
        }
        "kind" => "`go install sigs.k8s.io/kind@v0.31.0`, or https://kind.sigs.k8s.io",
        "kustomize" => {
            "`go install sigs.k8s.io/kustomize/kustomize/v5@latest`, or https://kustomize.io"
        }
        _ => "install it, or enter the Nix shell, which has it",
    }
}

/// The last of it: what a program says at its end is why it ended.
fn end_of(said: &str) -> &str {
    let said = said.trim();
    let from = said.len().saturating_sub(QUOTE);
    let from = (from..=said.len())
        .find(|index| said.is_char_boundary(*index))
        .unwrap_or(said.len());
    &said[from..]
}

#[cfg(test)]
mod tests {
    use xshell::{Shell, cmd};

    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn what_a_program_said_stands_in_the_error() {
        let shell = Shell::new().unwrap();
        let words = "echo no such image >&2; exit 3";
        let error = run(cmd!(shell, "sh -c {words}"), SOON).await.unwrap_err();
        let told = error.to_string();
        assert!(told.ends_with("failed: no such image"), "{told}");
    }

    #[tokio::test]
    async fn a_missing_program_comes_with_the_way_to_get_it() {
        let shell = Shell::new().unwrap();
        shell.set_var("PATH", "/nonexistent");
        let error = run(cmd!(shell, "kustomize version"), SOON)
            .await
            .unwrap_err();
        assert!(
            matches!(&error, ClusterError::MissingProgram { program, .. } if program == "kustomize"),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("go install"));
    }

    #[tokio::test]
    async fn a_program_that_hangs_is_ended_and_named() {
        let shell = Shell::new().unwrap();
        let error = run(cmd!(shell, "sleep 60"), Duration::from_millis(50))
            .await
            .unwrap_err();
        assert!(matches!(error, ClusterError::ProgramHung { .. }), "{error}");
    }

    #[tokio::test]
    async fn an_input_is_read() {
        let shell = Shell::new().unwrap();
        let said = run_with(cmd!(shell, "cat"), SOON, "words").await.unwrap();
        assert_eq!(said, "words");
    }
}
