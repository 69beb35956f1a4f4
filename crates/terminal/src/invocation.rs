//! How this program is called: `cargo xtask` in its workspace, `lab` where it is installed. Every message is written for
//! the workspace; what shows one puts it in the reader's words.

use std::{borrow::Cow, env, path::PathBuf};

/// What the messages say.
const IN_WORKSPACE: &str = "cargo xtask";

/// The program's name in an installation.
const INSTALLED: &str = "lab";

/// What an installation has beside the directory of its programs: `manifests/` and `images/`.
pub(crate) fn installation() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let beside = program.parent()?.join("../share/lab");
    beside.join("manifests").is_dir().then_some(beside)
}

/// The words that start this program on a command line.
pub fn invocation() -> &'static str {
    if installation().is_some() {
        INSTALLED
    } else {
        IN_WORKSPACE
    }
}

/// A message as it is to be shown: with the commands that the reader has.
pub fn in_own_words(message: &str) -> Cow<'_, str> {
    say(message, invocation())
}

fn say<'a>(message: &'a str, invocation: &str) -> Cow<'a, str> {
    if invocation == IN_WORKSPACE || !message.contains(IN_WORKSPACE) {
        return message.into();
    }
    message.replace(IN_WORKSPACE, invocation).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_named_as_the_reader_calls_them() {
        let message = "`cargo xtask status` shows it, `cargo xtask down` ends it";
        assert_eq!(
            say(message, INSTALLED),
            "`lab status` shows it, `lab down` ends it"
        );
        assert_eq!(say(message, IN_WORKSPACE), message);
    }
}
