//! The programs of this machine that can run a component, where they come from when they are missing, and their
//! versions.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsStr,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use blueprint::Component;

use crate::UnitStatus;

/// Directories that Debian keeps out of an ordinary user's `PATH` although they hold servers.
const SYSTEM_DIRECTORIES: [&str; 2] = ["/usr/local/sbin", "/usr/sbin"];

/// How a component's program is called, and where it comes from.
#[derive(Clone, Copy, Debug)]
struct Source {
    component: Component,
    /// Names under which distributions install it, the most common first.
    names: &'static [&'static str],
    /// Debian's package, where there is one.
    package: Option<&'static str>,
    /// The lab is not a lab without it.
    required: bool,
}

impl Source {
    fn missing(&self, came_later: bool) -> Missing {
        Missing {
            component: self.component,
            program: self.names[0],
            package: self.package,
            required: self.required,
            came_later,
        }
    }
}

const SOURCES: [Source; 10] = [
    Source {
        component: Component::Rabbitmq,
        names: &["rabbitmq-server"],
        package: Some("rabbitmq-server"),
        required: true,
    },
    Source {
        component: Component::Prometheus,
        names: &["prometheus"],
        package: Some("prometheus"),
        required: true,
    },
    Source {
        component: Component::Alertmanager,
        names: &["alertmanager", "prometheus-alertmanager"],
        package: Some("prometheus-alertmanager"),
        required: true,
    },
    Source {
        component: Component::NodeExporter,
        names: &["node_exporter", "prometheus-node-exporter"],
        package: Some("prometheus-node-exporter"),
        required: true,
    },
    Source {
        component: Component::Blackbox,
        names: &["blackbox_exporter", "prometheus-blackbox-exporter"],
        package: Some("prometheus-blackbox-exporter"),
        required: true,
    },
    Source {
        component: Component::Minio,
        names: &["minio"],
        package: None,
        required: false,
    },
    Source {
        component: Component::Loki,
        names: &["loki"],
        package: None,
        required: false,
    },
    Source {
        component: Component::Promtail,
        names: &["promtail"],
        package: None,
        required: false,
    },
    Source {
        component: Component::Pyroscope,
        names: &["pyroscope"],
        package: None,
        required: false,
    },
    Source {
        component: Component::Grafana,
        names: &["grafana"],
        package: None,
        required: false,
    },
];

/// A component's program on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its path.
    pub path: PathBuf,
    /// The version that it gives of itself, or `unknown`.
    pub version: String,
}

/// A component whose program is not on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The component.
    pub component: Component,
    /// The program's name.
    pub program: &'static str,
    /// Debian's package that has it.
    pub package: Option<&'static str>,
    /// Whether the lab cannot do without it.
    pub required: bool,
    /// Whether the program is there by now, in a lab that was started without it.
    pub came_later: bool,
}

impl Missing {
    /// Why the component is absent.
    pub fn reason(&self) -> String {
        if self.came_later {
            return format!("the lab was started without the program `{}`", self.program);
        }
        format!("the program `{}` is not on PATH", self.program)
    }

    /// How to get the program.
    pub fn remedy(&self) -> String {
        if self.came_later {
            return "`cargo xtask bootstrap` starts it".to_owned();
        }
        match self.package {
            Some(package) => {
                format!("run the command again with --install, or `sudo apt-get install {package}`")
            }
            None => format!(
                "put `{}` on PATH, then `cargo xtask bootstrap` again; Debian has no package of it",
                self.program
            ),
        }
    }
}

/// What this machine has and lacks of the programs that the host engine can run.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    found: BTreeMap<Component, Program>,
    missing: BTreeMap<Component, Missing>,
}

impl Programs {
    /// Looks for every program on `PATH` and asks each for its version.
    pub fn on_this_machine() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        Self::in_path(&path)
    }

    /// Looks for every program in a list of directories in the form of `PATH`.
    pub fn in_path(path: &OsStr) -> Self {
        let mut programs = Self::default();
        let found: Vec<_> = std::thread::scope(|scope| {
            // Some programs take a second to say their version, so they are asked side by side.
            let questions: Vec<_> = SOURCES
                .iter()
                .map(|source| (source, scope.spawn(|| locate(source, path))))
                .collect();
            questions
                .into_iter()
                .map(|(source, answer)| (source, answer.join().unwrap_or_default()))
                .collect()
        });
        for (source, program) in found {
            match program {
                Some(program) => {
                    programs.found.insert(source.component, program);
                }
                None => {
                    programs
                        .missing
                        .insert(source.component, source.missing(false));
                }
            }
        }
        programs
    }

    /// The programs that a running lab was started with. Where this machine has others by now, or another `PATH`, the
    /// lab is still the one that runs.
    pub fn of_running(&self, units: &[UnitStatus]) -> Self {
        let mut programs = Self::default();
        for source in &SOURCES {
            let unit = units
                .iter()
                .map(|status| &status.unit)
                .find(|unit| unit.name == source.component.name());
            match unit {
                Some(unit) => {
                    let program = Program {
                        path: unit.program.clone(),
                        version: unit.version.clone(),
                    };
                    programs.found.insert(source.component, program);
                }
                None => {
                    let came_later = self.found.contains_key(&source.component);
                    let missing = source.missing(came_later);
                    programs.missing.insert(source.component, missing);
                }
            }
        }
        programs
    }

    /// The component's program.
    pub fn get(&self, component: Component) -> Option<&Program> {
        self.found.get(&component)
    }

    /// Why the component has no program, and how to get one.
    pub fn missing(&self, component: Component) -> Option<&Missing> {
        self.missing.get(&component)
    }

    /// Every component without its program.
    pub fn all_missing(&self) -> impl Iterator<Item = &Missing> {
        self.missing.values()
    }
}

/// Finds a program of this name on `PATH` or among the system's servers.
pub(crate) fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    env::split_paths(path)
        .chain(SYSTEM_DIRECTORIES.map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| is_executable(candidate))
}

/// Whether a program of this name is on this machine, for tests that need more than the lab does.
pub fn is_on_path(name: &str) -> bool {
    find(name, &env::var_os("PATH").unwrap_or_default()).is_some()
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn locate(source: &Source, path: &OsStr) -> Option<Program> {
    let path = source.names.iter().find_map(|name| find(name, path))?;
    let path = if source.component == Component::Rabbitmq {
        rabbitmq_script(path)
    } else {
        path
    };
    let version = version(source.component, &path).unwrap_or_else(|| "unknown".to_owned());
    Some(Program { path, version })
}

/// Debian's `rabbitmq-server` on `PATH` is a wrapper that insists on the system's `rabbitmq` user; the broker's own
/// script stands beside it and runs as anybody.
fn rabbitmq_script(path: PathBuf) -> PathBuf {
    match path.canonicalize() {
        Ok(real) if real.file_name() == Some(OsStr::new("rabbitmq-script-wrapper")) => {
            real.with_file_name("rabbitmq-server")
        }
        _ => path,
    }
}

fn version(component: Component, path: &Path) -> Option<String> {
    if component == Component::Rabbitmq {
        return rabbitmq_version(path);
    }
    let output = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    // Prometheus' older programs print their version to stderr.
    let text = [output.stdout, output.stderr].concat();
    read_version(&String::from_utf8_lossy(&text))
}

/// The broker's version, from the directory `plugins/rabbit-<version>` beside its scripts. Asking `rabbitmqctl` would
/// start an epmd daemon that stays.
fn rabbitmq_version(script: &Path) -> Option<String> {
    let real = script.canonicalize().ok()?;
    let plugins = real.parent()?.parent()?.join("plugins");
    fs::read_dir(plugins)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| {
            Some(
                name.strip_prefix("rabbit-")?
                    .trim_end_matches(".ez")
                    .to_owned(),
            )
        })
        .find(|version| version.starts_with(|c: char| c.is_ascii_digit()))
}

/// The version in a program's answer to `--version`: the word behind `version`, or the first word that starts like one.
fn read_version(text: &str) -> Option<String> {
    let words = || {
        text.split_whitespace()
            .map(|word| word.trim_matches(|c| matches!(c, ',' | '(' | ')')))
    };
    let after = words()
        .zip(words().skip(1))
        .find(|(word, next)| word.eq_ignore_ascii_case("version") && !next.starts_with(':'))
        .map(|(_, next)| next);
    let found = after.or_else(|| {
        words().find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
    })?;
    Some(found.trim_start_matches('v').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_programs_say() {
        let cases = [
            (
                "prometheus, version 2.42.0+ds (branch: debian/sid, revision: 1)",
                "2.42.0+ds",
            ),
            ("loki, version 3.6.7 (branch: HEAD, revision: abc)", "3.6.7"),
            (
                "minio version RELEASE.2025-10-15T17-29-55Z (commit-id=9e49d5e)",
                "RELEASE.2025-10-15T17-29-55Z",
            ),
            ("grafana version 12.4.5", "12.4.5"),
        ];
        for (text, version) in cases {
            assert_eq!(read_version(text).as_deref(), Some(version), "{text}");
        }
        assert_eq!(read_version("usage: prog"), None);
    }

    #[test]
    fn a_machine_without_programs_says_how_to_get_each() {
        let programs = Programs {
            missing: SOURCES
                .iter()
                .map(|source| (source.component, source.missing(false)))
                .collect(),
            ..Programs::default()
        };
        for missing in programs.all_missing() {
            assert!(missing.reason().contains(missing.program));
            let remedy = missing.remedy();
            assert!(
                remedy.contains("bootstrap") || remedy.contains("--install"),
                "{remedy}"
            );
        }
    }

    #[test]
    fn the_brokers_version_stands_in_the_name_of_its_main_plugin() {
        let root = tempfile::tempdir().unwrap();
        let script = root.path().join("sbin/rabbitmq-server");
        fs::create_dir_all(root.path().join("plugins/rabbit-3.10.8")).unwrap();
        fs::create_dir_all(root.path().join("plugins/rabbit_common-3.10.8")).unwrap();
        fs::create_dir_all(script.parent().unwrap()).unwrap();
        fs::write(&script, "").unwrap();
        assert_eq!(rabbitmq_version(&script).as_deref(), Some("3.10.8"));
    }

    #[test]
    fn debians_wrapper_gives_way_to_the_script_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        let wrapper = root.join("rabbitmq-script-wrapper");
        fs::write(&wrapper, "").unwrap();
        let link = root.join("sbin-rabbitmq-server");
        std::os::unix::fs::symlink(&wrapper, &link).unwrap();
        assert_eq!(rabbitmq_script(link), root.join("rabbitmq-server"));
    }
}
