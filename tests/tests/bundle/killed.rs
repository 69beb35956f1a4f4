//! `bundle create` that is killed, or runs out of space, is run again and completes.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Command, Stdio},
};

use lab_tests::{
    command_line::{Said, said},
    group::Group,
    registry::Registry as Server,
    require, wait,
};

use crate::{images::names, installation::Installation, line::Line};

/// Where a bundle grows.
const UNFINISHED: &str = ".unfinished-lab.tar.zst";

/// The size of each of the [`crate::installation::LAYERS`] layers: 16 MiB in all.
const LAYER_BYTES: usize = 4 << 20;

/// Of what passes the line, manifests and headers are no part of the file, nor is the block of 128 KiB that each of four
/// blobs has begun; and the last one that stands there is not trusted after a kill.
const OTHER_BYTES: u64 = (256 << 10) + 2 * 4 * (128 << 10);

#[tokio::test]
async fn killed_anywhere_it_completes_the_next_time() {
    let Some(server) = Server::start("killed_anywhere_it_completes_the_next_time") else {
        return;
    };
    let line = Line::to(server.address()).await;
    let mut lab = Installation::behind(server, &line.address(), LAYER_BYTES).await;
    line.stop_after(u64::MAX);
    run(lab.create("whole", &lab.out("whole.tar.zst")))
        .await
        .with_code(0);

    // At the first manifest, within the first blobs, in the middle, and near the end: each goes on from the one before.
    for mebibytes in [0, 3, 5, 6] {
        let bytes = mebibytes << 20;
        let before = written(&lab.out(UNFINISHED));
        line.stop_after(bytes);
        let mut command = lab.create("killed", &lab.out("lab.tar.zst"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = Group::start(&mut command);
        line.has_stopped().await;
        // What has passed the line arrives.
        wait::until("the file to fill", async || {
            match written(&lab.out(UNFINISHED)) {
                now if now + OTHER_BYTES >= before + bytes => Ok(()),
                now => Err(format!("{before} bytes, then {now}")),
            }
        })
        .await;
        assert!(running.ended().is_none(), "it ended before it was killed");
        running.kill();
        assert!(!lab.out("lab.tar.zst").exists());
    }
    line.stop_after(u64::MAX);
    lab.server.restart();
    run(lab.create("killed", &lab.out("lab.tar.zst")))
        .await
        .with_code(0);
    wait::until("the rest of a blob to be asked for", async || {
        let asked = lab.server.requests();
        let is_rest = |request: &String| request.ends_with(" 206");
        asked
            .iter()
            .any(is_rest)
            .then_some(())
            .ok_or(format!("{asked:?}"))
    })
    .await;
    assert!(lab.bytes("lab.tar.zst") == lab.bytes("whole.tar.zst"));
    assert_eq!(names(&lab.out("")), ["lab.tar.zst", "whole.tar.zst"]);
}

/// Runs a command to its end while the line carries what it asks for.
async fn run(command: Command) -> Said {
    tokio::task::spawn_blocking(|| said(command)).await.unwrap()
}

/// The bytes of a file that stand on the disk, without its holes; of one that is not there, none.
fn written(path: &Path) -> u64 {
    path.metadata().map_or(0, |found| found.blocks() * 512)
}

#[tokio::test]
async fn a_full_disk_is_told_and_gone_on_from() {
    let test = "a_full_disk_is_told_and_gone_on_from";
    if require::mounting(test).is_none() {
        return;
    }
    let Some(lab) = Installation::new(test, LAYER_BYTES).await else {
        return;
    };
    lab.created("whole", "whole.tar.zst").with_code(0);
    let whole = lab.bytes("whole.tar.zst");
    let bytes = whole.len();
    // Besides the bundle there are the images of this machine.
    let said = said(on_a_small_disk(&lab, bytes / 2, "copy.tar.zst")).with_code(0);
    for words in [
        "error: cannot write ",
        "because: No space left on device",
        "hint: free some disk space, then run the same command again: it goes on where it stopped",
    ] {
        assert!(said.stderr.contains(words), "{words}: {said:?}");
    }
    assert!(lab.bytes("copy.tar.zst") == whole, "{said:?}");
}

/// `bundle create` in a namespace where state and bundle lie on a disk of this size, and again when it has grown. Ends with
/// 0 when the first failed with 1 and left no bundle, and the second made one, of which a copy is left in `out/`.
fn on_a_small_disk(lab: &Installation, size: usize, copy: &str) -> Command {
    const SCRIPT: &str = r#"
        disk=$1 size=$2 copy=$3 unfinished=$4
        shift 4
        mount -t tmpfs -o size="$size" small "$disk" && mkdir "$disk/out" || exit 10
        "$@"
        [ $? -eq 1 ] || exit 11
        [ "$(ls -A "$disk/out")" = "$unfinished" ] || exit 12
        mount -o remount,size=100m "$disk" || exit 13
        "$@" || exit 14
        cp "$disk/out/lab.tar.zst" "$copy""#;
    let disk = lab.out("../disk");
    fs::create_dir_all(&disk).unwrap();
    let create = lab.create("disk", &disk.join("out/lab.tar.zst"));
    let mut command = Command::new("unshare");
    command
        .args(require::MOUNTING)
        .args(["sh", "-c", SCRIPT, "sh"])
        .arg(&disk)
        .arg(size.to_string())
        .arg(lab.out(copy))
        .arg(UNFINISHED)
        .arg(create.get_program())
        .args(create.get_args())
        .env_remove("LAB_NAME");
    command
}
