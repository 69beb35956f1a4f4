//! Each file read by its own program, where that program is on this machine.

use std::{fs, io::Write as _, path::Path, process::Command};

use lab_tests::{
    config::{accept, files, manifests, printed, run, text, yaml},
    require::{any_program, program},
};
use serde_yaml::{Mapping, Value};
use tempfile::TempDir;

const PROMTOOL: &str = "promtool";

/// Debian builds Prometheus without the discovery of Kubernetes; what it says of the key then.
const NO_KUBERNETES: &str = "field kubernetes_sd_configs not found";

#[test]
fn promtool_accepts_the_configuration_with_its_rules() {
    let Some(promtool) = program(
        "promtool_accepts_the_configuration_with_its_rules",
        PROMTOOL,
    ) else {
        return;
    };
    let directory = TempDir::new().expect("a temporary directory");
    let root = directory.path();
    let token = root.join("token");
    fs::write(&token, "").expect("a file");
    fs::write(root.join("targets.json"), "[]").expect("a file");
    fs::create_dir(root.join("rules")).expect("a directory");
    for file in files("prometheus/rules") {
        let name = Path::new(&file).file_name().expect("a file name");
        fs::write(root.join("rules").join(name), text(&file)).expect("a file");
    }
    let config = local(yaml("prometheus/prometheus.yml"), &token);
    let path = root.join("prometheus.yml");
    fs::write(&path, serde_yaml::to_string(&config).expect("YAML")).expect("a file");

    accept(Command::new(promtool).args(["check", "config"]).arg(path));
}

/// The configuration as it is where there is no cluster: targets from a file, the token in a file that exists.
fn local(mut config: Value, token: &Path) -> Value {
    let jobs = config["scrape_configs"].as_sequence_mut().expect("jobs");
    for job in jobs {
        let job = job.as_mapping_mut().expect("a job");
        if job.remove("kubernetes_sd_configs").is_some() {
            let file: Mapping = serde_yaml::from_str("files: [targets.json]").expect("a discovery");
            job.insert("file_sd_configs".into(), vec![Value::from(file)].into());
        }
        if let Some(authorization) = job.get_mut("authorization") {
            authorization["credentials_file"] = token.display().to_string().into();
        }
    }
    config
}

#[test]
fn promtool_knows_every_key_of_the_configuration_in_the_cluster() {
    let test = "promtool_knows_every_key_of_the_configuration_in_the_cluster";
    let Some(promtool) = program(test, PROMTOOL) else {
        return;
    };
    let path = manifests().join("prometheus/prometheus.yml");
    let output = run(Command::new(promtool)
        .args(["check", "config", "--syntax-only"])
        .arg(path));
    let printed = printed(&output);
    let complaints: Vec<&str> = printed
        .lines()
        .filter(|line| line.contains("line ") && !line.contains(NO_KUBERNETES))
        .collect();
    assert!(
        output.status.success() || (printed.contains(NO_KUBERNETES) && complaints.is_empty()),
        "{printed}"
    );
}

#[test]
fn promtool_accepts_every_rule() {
    let Some(promtool) = program("promtool_accepts_every_rule", PROMTOOL) else {
        return;
    };
    accept(
        Command::new(promtool)
            .args(["check", "rules", "--lint=all", "--lint-fatal"])
            .args(paths("prometheus/rules")),
    );
}

#[test]
fn the_rules_pass_their_unit_tests() {
    let Some(promtool) = program("the_rules_pass_their_unit_tests", PROMTOOL) else {
        return;
    };
    accept(
        Command::new(promtool)
            .args(["test", "rules"])
            .args(paths("prometheus/tests")),
    );
}

#[test]
fn amtool_accepts_the_configuration() {
    let Some(amtool) = program("amtool_accepts_the_configuration", "amtool") else {
        return;
    };
    accept(
        Command::new(amtool)
            .arg("check-config")
            .arg(manifests().join("alertmanager/alertmanager.yml")),
    );
}

#[test]
fn the_blackbox_exporter_accepts_its_modules() {
    let names = &["blackbox_exporter", "prometheus-blackbox-exporter"];
    let Some(exporter) = any_program("the_blackbox_exporter_accepts_its_modules", names) else {
        return;
    };
    let path = manifests().join("blackbox/blackbox.yml");
    accept(
        Command::new(exporter)
            .arg("--config.check")
            .arg(format!("--config.file={}", path.display())),
    );
}

#[test]
fn loki_accepts_its_configuration() {
    let Some(loki) = program("loki_accepts_its_configuration", "loki") else {
        return;
    };
    accept(
        Command::new(loki)
            .arg("-verify-config")
            .arg("-config.expand-env=true")
            .arg(config_file("loki/loki.yaml"))
            .env("LOKI_S3_ACCESS_KEY", "loki")
            .env("LOKI_S3_SECRET_KEY", "not-a-secret"),
    );
}

#[test]
fn pyroscope_accepts_its_configuration() {
    let Some(pyroscope) = program("pyroscope_accepts_its_configuration", "pyroscope") else {
        return;
    };
    // Pyroscope has no flag that only checks; listing its modules reads and validates the configuration first.
    accept(
        Command::new(pyroscope)
            .arg("-modules")
            .arg("-config.expand-env=true")
            .arg(config_file("pyroscope/pyroscope.yaml")),
    );
}

#[test]
fn promtail_accepts_its_configuration() {
    let Some(promtail) = program("promtail_accepts_its_configuration", "promtail") else {
        return;
    };
    accept(
        Command::new(promtail)
            .arg("-check-syntax")
            .arg("-config.expand-env=true")
            .arg(config_file("promtail/promtail.yaml")),
    );
}

#[test]
fn promtail_reads_levels_as_every_program_writes_them() {
    let test = "promtail_reads_levels_as_every_program_writes_them";
    let Some(promtail) = program(test, "promtail") else {
        return;
    };
    let lines = [
        (
            r#"stdout F {"level":"INFO","message":"a","trace_id":"4b"}"#,
            "info",
        ),
        (r#"stderr F ts=0 level=warn msg="said level=debug""#, "warn"),
        ("stderr F time=0 level=WARNING msg=c", "warn"),
        (
            "stdout F 2026-11-23 23:21:11.762388+00:00 [notice] <0.1.0> d",
            "notice",
        ),
        (r#"stdout P {"level":"ERR"#, ""),
        (
            r#"stdout F OR","message":"a part and the rest are one line"}"#,
            "error",
        ),
        ("stdout F plain words", ""),
    ];
    let directory = TempDir::new().expect("a temporary directory");
    let mut child = Command::new(promtail)
        .args(["-stdin", "-dry-run", "-config.expand-env=true"])
        .arg(config_file("promtail/promtail.yaml"))
        .args([
            "-server.http-listen-address=127.0.0.1",
            "-server.http-listen-port=0",
        ])
        .env("PROMTAIL_DATA", directory.path())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("promtail");
    let mut stdin = child.stdin.take().expect("a pipe");
    for (second, (line, _)) in lines.iter().enumerate() {
        writeln!(stdin, "2026-11-23T23:40:{second:02}.000000000Z {line}").expect("a line");
    }
    drop(stdin);
    let output = child.wait_with_output().expect("promtail's end");
    let printed = String::from_utf8_lossy(&output.stdout);

    for (second, (line, level)) in lines.iter().enumerate() {
        let stamp = format!("2026-11-23T23:40:{second:02}");
        let entry = printed.lines().find(|entry| entry.starts_with(&stamp));
        if line.contains(" P ") {
            assert_eq!(entry, None, "a part of a line was sent on its own");
            continue;
        }
        let entry = entry.unwrap_or_else(|| panic!("`{line}` is missing in\n{printed}"));
        let labels = match *level {
            "" => "{}".to_owned(),
            level => format!("{{level=\"{level}\"}}"),
        };
        assert!(entry.contains(&labels), "`{line}` became `{entry}`");
    }
}

fn config_file(file: &str) -> String {
    format!("-config.file={}", manifests().join(file).display())
}

fn paths(directory: &str) -> Vec<std::path::PathBuf> {
    files(directory)
        .iter()
        .map(|file| manifests().join(file))
        .collect()
}
