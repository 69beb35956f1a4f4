//! `bundle create`, `inspect` and `load` as a user runs them.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use lab_tests::{
    command_line::{Said, program, said},
    registry::Registry as Server,
};

use crate::{
    images::{client, names, reference},
    installation::{Installation, LAYERS},
};

/// What stands in a bundle besides the images that the manifests name.
const OWN: [&str; 4] = ["lab/consumer", "lab/manifests", "lab/producer", "lab/sbom"];

fn bundle(arguments: &[&str], file: &Path) -> Said {
    let mut command = Command::new(program("lab-cluster"));
    command
        .arg("bundle")
        .args(arguments)
        .arg(file)
        .env_remove("LAB_NAME")
        .env_remove("LAB_ROOT");
    said(command)
}

#[tokio::test]
async fn a_bundle_is_made_looked_at_and_loaded() {
    let test = "a_bundle_is_made_looked_at_and_loaded";
    let (Some(lab), Some(to)) = (Installation::new(test, 5000).await, Server::start(test)) else {
        return;
    };
    let made = lab.created("state", "lab.tar.zst").with_code(0);
    let digest = made.stdout.trim_end();
    assert!(digest.starts_with("sha256:"), "{made:?}");
    assert_eq!(made.stdout.lines().count(), 1, "{made:?}");
    let file = lab.out("lab.tar.zst");
    assert!(made.stderr.contains(file.to_str().unwrap()), "{made:?}");

    let table = bundle(&["inspect"], &file).with_code(0).stdout;
    let told = bundle(&["inspect", "--json"], &file).with_code(0).json();
    assert_eq!(told["schema"], 1);
    assert_eq!(told["digest"], digest);
    assert_eq!(told["bytes"], fs::metadata(&file).unwrap().len());
    let platform = told["platform"].as_str().unwrap();
    assert!(
        table.contains(&format!("\n{digest} for {platform}, ")),
        "{table}"
    );
    assert!(
        table.ends_with(": every byte is as it was written\n"),
        "{table}"
    );
    let listed = told["images"].as_array().unwrap();
    assert_eq!(listed.len(), lab.images.len() + OWN.len());
    for image in listed {
        let name = image["name"].as_str().unwrap();
        let row = table.lines().find(|line| line.starts_with(name));
        let digest = image["digest"].as_str().unwrap();
        assert!(
            row.is_some_and(|row| row.contains(digest)),
            "{name}: {table}"
        );
        assert!(image["bytes"].as_u64().unwrap() > 0);
    }
    for image in &lab.images {
        let is_listed = listed.iter().any(|it| it["name"] == image.to_string());
        assert!(is_listed, "{image}: {table}");
    }

    lists_every_image(&bundle(&["inspect", "--sbom"], &file).with_code(0), &lab);

    let place = format!("{}/team", to.address());
    let load = ["load", "--to", &place];
    let loaded = bundle(&load, &file).with_code(0);
    assert_eq!(loaded.stdout.lines().count(), 1 + listed.len());
    // Those with a layer of their own, and the lab's own.
    let sent = loaded.stdout.matches(" MiB\n").count();
    assert_eq!(sent, LAYERS + OWN.len(), "{loaded:?}");
    for image in &lab.images {
        let name = format!("team/{}:{}", image.repository(), image.tag().unwrap());
        let found = client().resolve(&reference(&to, &name)).await.unwrap();
        let row = format!("{}/{name}@{found} ", to.address());
        assert!(loaded.stdout.contains(&row), "{row}: {loaded:?}");
    }
    let again = bundle(&load, &file).with_code(0).stdout;
    assert_eq!(again.matches(" nothing\n").count(), listed.len(), "{again}");
}

/// Reads the bill of materials as a program does that knows nothing of the lab.
fn lists_every_image(said: &Said, lab: &Installation) {
    let document = said.json();
    assert_eq!(document["bomFormat"], "CycloneDX");
    assert_eq!(document["specVersion"], "1.6");
    let components = document["components"].as_array().unwrap();
    let containers: Vec<_> = components
        .iter()
        .filter(|component| component["type"] == "container")
        .collect();
    for image in &lab.images {
        let digest = image.digest().unwrap();
        let is_listed = containers.iter().any(|component| {
            let hashes = component["hashes"].as_array().unwrap();
            hashes
                .iter()
                .any(|hash| *hash["content"].as_str().unwrap() == *digest.hex())
        });
        assert!(is_listed, "{image}");
    }
    for own in OWN.iter().filter(|own| **own != "lab/sbom") {
        let name = own.trim_start_matches("lab/");
        let is_listed = containers.iter().any(|component| component["name"] == name);
        assert!(is_listed, "{own}");
    }
}

#[tokio::test]
async fn the_bytes_depend_on_the_images_alone() {
    let Some(lab) = Installation::new("the_bytes_depend_on_the_images_alone", 5000).await else {
        return;
    };
    let first = lab.created("one", "one.tar.zst").with_code(0);
    // Written anew, in another order and for nobody else, by a user with another umask and another state.
    rewrite(&lab.manifests());
    let other = lab.create("other", &lab.out("other.tar.zst"));
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 077 && exec \"$0\" \"$@\""])
        .arg(other.get_program())
        .args(other.get_args())
        .env_remove("LAB_NAME");
    let second = said(command).with_code(0);
    assert_eq!(first.stdout, second.stdout);
    assert!(lab.bytes("one.tar.zst") == lab.bytes("other.tar.zst"));
}

fn rewrite(directory: &Path) {
    for name in names(directory).iter().rev() {
        let path = directory.join(name);
        if path.is_dir() {
            rewrite(&path);
        } else {
            let text = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

#[tokio::test]
async fn bad_input_is_told_with_what_to_do() {
    let Some(lab) = Installation::new("bad_input_is_told_with_what_to_do", 5000).await else {
        return;
    };
    let (missing, directory) = (lab.out("missing"), lab.out(""));
    let (empty, text) = (lab.out("empty"), lab.out("text"));
    fs::write(&empty, "").unwrap();
    fs::write(&text, "no bundle at all").unwrap();
    for (file, words) in [
        (
            &missing,
            "cannot read FILE\n  because: No such file or directory",
        ),
        (&directory, "cannot read FILE\n  because: is a directory"),
        (
            &empty,
            "FILE is malformed: it does not end with a table of its frames: it is cut short, or no bundle",
        ),
        (
            &text,
            "FILE is malformed: it does not end with a table of its frames: it is cut short, or no bundle",
        ),
    ] {
        let words = words.replace("FILE", &file.display().to_string());
        for arguments in [
            &["inspect"][..],
            &["inspect", "--json"],
            &["inspect", "--sbom"],
            &["load", "--to", "127.0.0.1:1/team"],
        ] {
            tells(&bundle(arguments, file), &[&format!("error: {words}")]);
        }
    }
    let mut nonsense = lab.create("state", &lab.out("lab.tar.zst"));
    nonsense.args(["--platform", "nonsense"]);
    tells(
        &said(nonsense),
        &[
            "error: `nonsense` is no platform: it is not os/architecture",
            "hint: write it as in linux/amd64",
        ],
    );
    let directory = lab.out("no/such");
    let output = directory.join("lab.tar.zst");
    tells(
        &said(lab.create("state", &output)),
        &[
            "error: cannot create ",
            "\n  because: No such file or directory",
            &format!(
                "hint: make its directory first: `mkdir -p {}`",
                directory.display()
            ),
        ],
    );
    let loose = lab.images[0].by_tag().unwrap().to_string();
    let path = lab.manifests().join("loose.yaml");
    fs::write(path, format!("image: {loose}\n")).unwrap();
    tells(
        &lab.created("state", "lab.tar.zst"),
        &[
            &format!("error: the image {loose} has no digest"),
            "hint: write it as registry/repository:tag@sha256:digest",
        ],
    );
    assert_eq!(names(&lab.out("")), ["empty", "text"]);
}

/// Demands a failure with these words, and nothing on standard output.
#[track_caller]
fn tells(said: &Said, words: &[&str]) {
    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(said.stdout, "", "{said:?}");
    for words in words {
        assert!(said.stderr.contains(words), "{words}:\n{}", said.stderr);
    }
}
