//! `logs`: a component's output, without the CRI envelope.

use std::{
    io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;
use tokio::time::sleep;

use terminal::{
    Setting, cli,
    failure::{Exit, Failure},
};

/// How often a followed file is looked at.
const INTERVAL: Duration = Duration::from_millis(200);

/// Runs the command.
pub async fn run(setting: &Setting, arguments: cli::Logs) -> anyhow::Result<Exit> {
    let file = setting.lab.load()?.ok_or_else(|| {
        Failure::new(
            Exit::Missing,
            format!("there is no lab `{}`", setting.lab.name()),
        )
        .hint("bring it up with `cargo xtask bootstrap`")
    })?;
    let component = arguments.component;
    let directory = setting
        .lab
        .container_logs(component, component.name(), file.instance);
    let path = directory.join("0.log");
    if !path.exists() {
        return Err(Failure::new(
            Exit::Missing,
            format!(
                "{component} has written nothing in the lab `{}`",
                setting.lab.name()
            ),
        )
        .hint("`cargo xtask status` tells whether it is part of this lab")
        .into());
    }
    let rotated = directory.join("0.log.1");
    if rotated.exists() {
        show(&rotated, 0)?;
    }
    let position = show(&path, 0)?;
    if arguments.follow {
        follow(&path, &rotated, position).await?;
    }
    Ok(Exit::Holds)
}

/// Shows what the component writes until Ctrl-C.
async fn follow(path: &Path, rotated: &Path, mut position: u64) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = sleep(INTERVAL) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
        position = show_new(path, rotated, position)?;
    }
}

/// Shows what came since, also when the file was rotated meanwhile.
fn show_new(path: &Path, rotated: &Path, position: u64) -> anyhow::Result<u64> {
    let length = std::fs::metadata(path).map_or(0, |meta| meta.len());
    if length < position {
        show(rotated, position)?;
        return show(path, 0);
    }
    show(path, position)
}

/// Prints the records of a file from a position on; returns the position behind the last whole record.
fn show(path: &Path, from: u64) -> anyhow::Result<u64> {
    let context = || format!("cannot read {}", path.display());
    let mut file = std::fs::File::open(path).with_context(context)?;
    file.seek(SeekFrom::Start(from)).with_context(context)?;
    let mut reader = BufReader::new(file);
    let mut out = std::io::stdout().lock();
    let mut position = from;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).with_context(context)?;
        if read == 0 || line.last() != Some(&b'\n') {
            return Ok(position);
        }
        position += read as u64;
        if let Err(error) = out.write_all(text_of(&line)) {
            // `| head` has seen enough.
            if error.kind() == std::io::ErrorKind::BrokenPipe {
                return Ok(position);
            }
            return Err(error).context("cannot write to standard output");
        }
    }
}

/// The text of a CRI record: behind time, stream and tag; a partial record's line goes on in the next one.
fn text_of(record: &[u8]) -> &[u8] {
    let mut fields = record.splitn(4, |&byte| byte == b' ');
    match (fields.next(), fields.next(), fields.next(), fields.next()) {
        (Some(_), Some(_), Some(b"P"), Some(text)) => text.strip_suffix(b"\n").unwrap_or(text),
        (Some(_), Some(_), Some(_), Some(text)) => text,
        _ => record,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_goes_and_partial_records_join() {
        assert_eq!(text_of(b"2026-01-02T03:04:05Z stdout F a b\n"), b"a b\n");
        assert_eq!(text_of(b"2026-01-02T03:04:05Z stderr P a\n"), b"a");
        assert_eq!(text_of(b"not a record\n"), b"not a record\n");
    }
}
