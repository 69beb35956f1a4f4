//! RabbitMQ PerfTest: where it is, how it is told a case, and what it prints.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde::Serialize;
use tokio::process::Command;

use crate::{
    BenchError,
    case::{ACK_BATCH, Case, PREFETCH},
    latency::{Latencies, Latency},
    message::{body_bytes, properties},
};

/// How to get it.
pub const REMEDY: &str = "PerfTest is com.rabbitmq:perf-test on Maven Central: with that dependency in a pom.xml, `mvn \
     dependency:copy-dependencies -DoutputDirectory=/tmp/perf-test` gets it and all it needs; then --perf-test /tmp/perf-test, \
     with `java` on PATH";

/// The class that starts it.
const MAIN_CLASS: &str = "com.rabbitmq.perf.PerfTest";

/// PerfTest on this machine.
#[derive(Clone, Debug)]
pub struct PerfTest {
    class_path: OsString,
    /// The version that it gives of itself.
    pub version: String,
}

/// Whether PerfTest takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub enum Presence {
    /// It does.
    Present {
        /// Its version.
        version: String,
    },
    /// It does not.
    Absent {
        /// Why.
        reason: String,
        /// How to get it.
        remedy: String,
    },
}

impl PerfTest {
    /// Looks for PerfTest and Java; the reason when it cannot take part.
    ///
    /// # Errors
    ///
    /// It is not where the user says.
    pub async fn find(path: Option<&Path>) -> Result<Result<Self, String>, BenchError> {
        let Some(path) = path else {
            return Ok(Err(
                "neither --perf-test nor PERF_TEST says where it is".to_owned()
            ));
        };
        let class_path = class_path(path).ok_or_else(|| BenchError::NoPerfTest {
            path: path.to_owned(),
        })?;
        let output = java(&class_path)
            .arg("--version")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await;
        Ok(match output {
            Ok(output) => match version(&String::from_utf8_lossy(&output.stdout)) {
                Some(version) => Ok(Self {
                    class_path,
                    version,
                }),
                None => Err(format!(
                    "{} does not say its version: {}",
                    path.display(),
                    String::from_utf8_lossy(&output.stderr).trim()
                )),
            },
            Err(error) => Err(format!("`java` does not start: {error}")),
        })
    }

    /// The command for a case. Its first interval is for warming up, its second is measured.
    pub fn command(&self, case: &Case, uri: &str, seconds: u32) -> Command {
        let mut command = java(&self.class_path);
        command
            // The URI has the password, which does not belong on a command line.
            .env("URI", uri)
            .args([
                "--predeclared",
                "--type",
                "topic",
                "--flag",
                "persistent",
                "--flag",
                "mandatory",
            ])
            .args(["--exchange", messaging::topology::EXCHANGE])
            .args(["--routing-key", messaging::topology::ROUTING_KEY])
            .args(["--queue", messaging::topology::QUEUE]);
        let mut number = |flag: &str, value: usize| {
            command.arg(flag).arg(value.to_string());
        };
        number("--producers", case.connections);
        number("--consumers", case.connections);
        number("--size", body_bytes(case.payload_bytes));
        number("--confirm", case.confirm_window);
        number("--qos", PREFETCH.into());
        number("--multi-ack-every", ACK_BATCH.into());
        number("--interval", seconds as usize);
        // Ends by itself should the measurement die; the measurement ends it earlier.
        number("--time", 3 * seconds as usize + 5);
        if let Some(rate) = case.rate {
            number("--rate", rate as usize);
        }
        command.arg("--message-properties").arg(properties());
        command
    }
}

fn java(class_path: &OsString) -> Command {
    let mut command = Command::new("java");
    command.arg("-cp").arg(class_path).arg(MAIN_CLASS);
    command
}

/// Java takes `DIR/*` for every JAR of a directory.
fn class_path(path: &Path) -> Option<OsString> {
    if path.is_dir() {
        return Some(path.join("*").into());
    }
    path.is_file().then(|| PathBuf::from(path).into())
}

/// `RabbitMQ Perf Test 2.22.1 (commit; date)`, in bold on any output.
fn version(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("RabbitMQ Perf Test ")?;
    Some(rest.split_whitespace().next()?.to_owned())
}

/// The intervals that have ended in what PerfTest has printed; a line that is being written is passed over.
pub fn intervals(output: &str) -> Vec<Latencies> {
    output
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n') && line.contains(", time "))
        .map(|line| Latencies {
            end_to_end: latency(line, "consumer latency: "),
            confirm: latency(line, "confirm latency: "),
        })
        .collect()
}

/// `min/median/75th/95th/99th consumer latency: 1/2/3/4/5 µs`, the heading only once a line.
fn latency(line: &str, name: &str) -> Option<Latency> {
    let (_, rest) = line.split_once(name)?;
    let (numbers, unit) = rest.split_once(' ')?;
    let numbers: Vec<f64> = numbers
        .split('/')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let [_, p50, _, _, p99] = numbers.try_into().ok()?;
    // Without UTF-8 Java prints another character for µ.
    let unit: String = unit
        .chars()
        .take_while(|c| !c.is_whitespace() && *c != ',')
        .collect();
    let by = match unit.as_str() {
        "ms" => 1.0,
        unit if unit.ends_with('s') => 0.001,
        _ => return None,
    };
    Some(Latency {
        p50_ms: p50 * by,
        p99_ms: p99 * by,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OUTPUT: &str = "id: test-1, starting consumer #0, channel #0\n\
        id: test-1, time 4.001 s, sent: 4498 msg/s, returned: 0 msg/s, confirmed: 4450 msg/s, nacked: 0 msg/s, received: \
        4450 msg/s, min/median/75th/95th/99th consumer latency: 5478/35699/57673/92102/131953 µs, confirm latency: \
        4026/31743/51739/89226/115492 µs\n\
        id: test-1, time 8.000 s, sent: 5575 msg/s, received: 5575 msg/s, min/median/75th/95th/99th consumer latency: \
        1/2/3/4/5 ms\n\
        id: test-1, time 12.000 s, sent: 5";

    #[test]
    fn each_whole_line_of_an_interval_is_read() {
        let found = intervals(OUTPUT);
        assert_eq!(found.len(), 2);
        let confirm = found[0].confirm.unwrap();
        assert!((confirm.p50_ms - 31.743).abs() < 1e-9 && (confirm.p99_ms - 115.492).abs() < 1e-9);
        assert!((found[0].end_to_end.unwrap().p50_ms - 35.699).abs() < 1e-9);
        let end_to_end = Latency {
            p50_ms: 2.0,
            p99_ms: 5.0,
        };
        assert_eq!(found[1].end_to_end, Some(end_to_end));
        assert_eq!(found[1].confirm, None);
    }

    #[test]
    fn a_machine_without_utf_8_prints_another_unit() {
        let line = "id: x, time 1 s, consumer latency: 1000/2000/3/4/5000 ?s\n";
        assert!((intervals(line)[0].end_to_end.unwrap().p99_ms - 5.0).abs() < 1e-9);
    }

    #[test]
    fn the_version_is_found_between_the_colours() {
        let text = "\u{1b}[1mRabbitMQ Perf Test 2.22.1 (b9d98f4; 2024-11-19T14:49:09Z)\n\u{1b}[0mJava version: 17\n";
        assert_eq!(version(text).as_deref(), Some("2.22.1"));
        assert_eq!(version("Error: could not find"), None);
    }

    #[test]
    fn the_password_is_in_no_argument() {
        let perf_test = PerfTest {
            class_path: "/x/*".into(),
            version: String::new(),
        };
        let command = perf_test.command(&Case::all()[0], "amqp://u:secret@h/v", 5);
        let arguments: Vec<_> = command.as_std().get_args().collect();
        assert!(!format!("{arguments:?}").contains("secret"));
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(
            text in "(?s)\\PC*",
            numbers in "id: x, time [0-9.]{0,4} s, consumer latency: [0-9/.-]{0,20}( [a-zµ]{0,3})?, confirm latency: [0-9/]{0,20}",
        ) {
            for text in [text, numbers] {
                let _ = (intervals(&format!("{text}\n")), version(&text));
            }
        }
    }
}
