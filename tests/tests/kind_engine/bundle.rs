//! A lab out of one file: nothing of it is pulled from anywhere but the registry beside the cluster.

use std::fs;

use cluster::pins;
use lab_tests::{
    kind_lab::{BOOTSTRAP, KindLab, Next, Said},
    pinned_images,
    registry::Registry,
};

use crate::list;

/// Bootstraps from a file until the lab is up.
fn bootstrap(lab: &KindLab, file: &str) -> Said {
    let arguments = [&BOOTSTRAP[..], &["--bundle", file]].concat();
    lab.run_watched(&arguments, |line| {
        if line.starts_with("The lab `default` is up") {
            return Next::Kill;
        }
        lab.play(line);
        Next::Go
    })
}

#[tokio::test]
async fn a_lab_comes_out_of_a_bundle_alone() {
    let test = "a_lab_comes_out_of_a_bundle_alone";
    let Some(lab) = KindLab::new(test) else {
        return;
    };
    let Some(mut upstream) = Registry::start(test) else {
        return;
    };
    pinned_images::publish(&upstream, &lab.manifests()).await;
    let file = lab.state().join("lab.tar.zst");
    let file = file.to_str().expect("a path in UTF-8");
    let made = lab.run(&["bundle", "create", "--output", file]);
    made.with_code(0);

    // From here on there is the file, and an engine without an image.
    upstream.end();
    for directory in ["manifests", "images"] {
        let directory = lab.manifests().with_file_name(directory);
        fs::remove_dir_all(&directory).unwrap();
        fs::create_dir(&directory).unwrap();
    }
    let up = bootstrap(&lab, file);
    up.line("The lab `default` is up");
    assert!(up.line("engine's images").contains("loading"));
    assert!(
        up.lines.iter().any(|line| line.ends_with("2 loaded")),
        "{up:#?}"
    );
    let started = lab.engine(|engine| engine.containers["lab-default-registry"].image.clone());
    assert!(
        lab.engine(|engine| engine.images.contains_key(&started)),
        "{started}"
    );
    let node = lab.engine(|engine| engine.config.clone());
    assert!(node.contains("/kindest/node:v1.35.0\n"), "{node}");
    let argo_cd = list(
        &lab,
        "deployments,statefulsets",
        "{.spec.template.spec.containers[*].image}",
    );
    assert!(!argo_cd.is_empty());
    for (name, image) in argo_cd {
        assert!(
            image.starts_with("lab-default-registry:5000/"),
            "{name}: {image}"
        );
    }
    // What Argo CD will apply, and each of it is in the registry.
    let registry = oci::Registry::new(oci::Settings::default());
    let port = lab.port("registry/http");
    let mut images = 0;
    for file in pins::read(&lab.directory().join("bundle/manifests")).unwrap() {
        if file.path().to_string_lossy().contains("overlays/kind/") {
            continue;
        }
        for image in file.images() {
            assert_eq!(image.registry(), "lab-default-registry:5000", "{image}");
            let there = image
                .to_string()
                .replace("lab-default-registry:5000", &format!("127.0.0.1:{port}"));
            registry.resolve(&there.parse().unwrap()).await.unwrap();
            images += 1;
        }
    }
    assert!(images > 10, "{images}");

    // The lab keeps what it needs: neither file nor flag is wanted again.
    fs::remove_file(file).unwrap();
    let again = lab.bootstrap();
    assert!(
        again
            .line("The lab `default` is up")
            .contains("nothing changed")
    );
}
