//! What a command says, in a form that is the same on every machine.

use std::fmt::Write as _;

use lab_tests::kind_lab::{KindLab, Said};
use regex::Regex;

/// Under a title what a command said, with its exit code.
pub fn transcript(lab: &KindLab, title: &str, arguments: &[&str], said: &Said) -> String {
    let mut text = format!("# {title}\n$ lab {}\n", arguments.join(" "));
    let code = said
        .code
        .map_or("killed by the test".to_owned(), |code| code.to_string());
    writeln!(text, "exit code: {code}").unwrap();
    let stdout: Vec<_> = said.stdout.lines().map(str::to_owned).collect();
    for (name, lines) in [("stdout", &stdout), ("stderr", &said.lines)] {
        if lines.is_empty() {
            continue;
        }
        writeln!(text, "{name}:").unwrap();
        for line in lines {
            writeln!(text, "    {}", stable(lab, line)).unwrap();
        }
    }
    text.push('\n');
    text
}

/// Folders, ports, digests and identities are another machine's tomorrow.
fn stable(lab: &KindLab, line: &str) -> String {
    let state = lab.state();
    let folder = state.parent().unwrap().display().to_string();
    let mut line = line.replace(&folder, "$FOLDER");
    for (pattern, name) in [
        (r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:$$PORT"),
        (r"\bport \d{4,5}", "port $$PORT"),
        ("sha256:[0-9a-f]{64}", "sha256:$$DIGEST"),
        ("[0-9a-f]{64}", "$$SHA256"),
        (r"tmp/\.tmp\w+", "tmp/$$TEMPORARY"),
        (
            "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "$$ID",
        ),
        (
            "argocd-repo-server-[0-9a-z]+-[0-9a-z]+",
            "argocd-repo-server-$$POD",
        ),
    ] {
        line = Regex::new(pattern)
            .unwrap()
            .replace_all(&line, name)
            .into_owned();
    }
    line.trim_end().to_owned()
}
