//! The command line: every command and flag, with the words that `--help` shows.

use std::path::PathBuf;

use blueprint::{Arrow, Component};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::invocation;

pub use chaos::{Chaos, ChaosEngine, Fault};

mod chaos;

/// The lab: GitOps and observability that prove themselves.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    /// Directory of all labs' state [default: .lab beside the manifests]
    #[arg(long, global = true, env = "LAB_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// Directory of an installation, with `manifests/` and the lab's own images in `images/` [default: the workspace, or
    /// share/lab beside this program's directory]
    #[arg(long, global = true, env = "LAB_ROOT", value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Name of the lab; labs of different names run side by side
    #[arg(long, global = true, env = "LAB_NAME", default_value = "default", value_parser = lab_name)]
    pub name: String,

    /// Certificate authorities in PEM that registries are trusted by, besides those of the system
    #[arg(long, global = true, env = "LAB_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Whether the output is coloured
    #[command(flatten)]
    pub color: Color,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The command line of this process, which speaks of the program as it was called; on wrong input the process ends.
    pub fn of_this_process() -> Self {
        let mut command = Self::called(invocation());
        let matches = command.get_matches_mut();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut command).exit())
    }

    /// The definition of the command line, under a name.
    pub fn called(name: &'static str) -> clap::Command {
        Self::command().name(name).bin_name(name)
    }
}

/// When to colour output.
#[derive(Debug, Args)]
pub struct Color {
    /// Colour the output
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: When,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

impl Color {
    /// Makes the choice hold for everything that is printed.
    pub fn write_global(&self) {
        match self.color {
            // Honours NO_COLOR and asks whether the stream is a terminal.
            When::Auto => anstream::ColorChoice::Auto,
            When::Always => anstream::ColorChoice::Always,
            When::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring the lab up and prove its arrows
    Bootstrap(Bootstrap),
    /// Show each component with its state, version and URL
    Status(Status),
    /// Show what a component wrote
    Logs(Logs),
    /// Open a component's page in the browser
    Open(Open),
    /// Show the lab's generated user names and passwords
    Credentials,
    /// Take a CPU profile of the producer or the consumer, and draw it as a flame graph
    Profile(Profile),
    /// Prove the arrows of the diagrams on the running lab
    Verify(Verify),
    /// Break the lab's workload under load, again and again, and compare what was confirmed with what was handled
    Chaos(Chaos),
    /// Publish the manifests and move a lab on a cluster to them, or back to an earlier digest
    Push(Push),
    /// The images that the lab runs, and its own two
    #[command(subcommand)]
    Images(Images),
    /// One file with all that a lab on Kubernetes needs, for a machine without a network
    #[command(subcommand)]
    Bundle(Bundle),
    /// Measure the producer and the consumer against RabbitMQ PerfTest, and what their telemetry costs
    Bench(Bench),
    /// Look at this machine: what the lab needs, what is missing, what is in the way
    Doctor(Doctor),
    /// Run all tests and lints
    Test(Test),
    /// End the lab and prove that nothing of it runs
    Down(Down),
    /// Write a completion script for a shell
    Completions(Completions),
    /// Own the lab's processes; started by bootstrap
    #[command(hide = true)]
    Supervise,
}

/// What runs the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineKind {
    /// Plain processes on this machine
    Host,
    /// A Kubernetes cluster in containers on this machine, made for the lab
    Kind,
    /// A Kubernetes cluster that is there already
    Cluster,
}

/// Arguments of `bootstrap`.
#[derive(Debug, Args)]
pub struct Bootstrap {
    /// What runs the lab [default: what runs it already; else kind, where kind and a container engine are there; else host]
    #[arg(long)]
    pub engine: Option<EngineKind>,
    /// Install missing Debian packages
    #[arg(long)]
    pub install: bool,
    /// Show how long each component took to become ready
    #[arg(long)]
    pub timings: bool,
    /// Take images and manifests from this file alone, which `bundle create` has made
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// Where the cluster is
    #[command(flatten)]
    pub cluster: ClusterArguments,
}

/// Arguments of `bootstrap` for a lab on Kubernetes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "On Kubernetes")]
pub struct ClusterArguments {
    /// Context of the kubeconfig, for --engine cluster
    #[arg(long)]
    pub context: Option<String>,
    /// Registry that this machine pushes to and the cluster pulls from, for --engine cluster
    #[arg(long, value_name = "HOST/REPO")]
    pub registry: Option<String>,
    /// Speak plain HTTP to that registry
    #[arg(long, requires = "registry")]
    pub plain_http: bool,
    /// Put this before the name of each of the lab's namespaces, for --engine cluster
    #[arg(long, value_name = "PREFIX", value_parser = namespace_prefix)]
    pub namespace_prefix: Option<String>,
    /// Storage class of the lab's volumes, for --engine cluster [default: the cluster's own]
    #[arg(long, value_name = "NAME")]
    pub storage_class: Option<String>,
    /// Apply the manifests from a Git repository instead of the artifact that bootstrap pushes
    #[arg(long, value_name = "URL", requires = "git_revision")]
    pub git_url: Option<String>,
    /// Commit, branch or tag of that repository
    #[arg(long, value_name = "REVISION", requires = "git_url")]
    pub git_revision: Option<String>,
}

/// Arguments of `push`.
#[derive(Debug, Args)]
pub struct Push {
    /// Move to this digest, which an earlier push printed, instead of publishing the manifests
    #[arg(long, value_name = "DIGEST")]
    pub to: Option<String>,
}

/// What to do with the lab's images.
#[derive(Debug, Subcommand)]
pub enum Images {
    /// Show every image that the lab runs, with its digest
    List,
    /// Build the producer's and the consumer's image as an OCI layout, without a container engine
    Build(BuildImages),
    /// Ask the registries which digest the tag of each pinned image stands for today
    Pin(PinImages),
}

/// Arguments of `images build`.
#[derive(Debug, Args)]
pub struct BuildImages {
    /// Directory of the OCI layout
    #[arg(long, value_name = "DIR", default_value = "target/images")]
    pub output: PathBuf,
}

/// Arguments of `images pin`.
#[derive(Debug, Args)]
pub struct PinImages {
    /// Write the digests into the manifests, if every image has one
    #[arg(long)]
    pub write: bool,
}

/// What to do with a bundle.
#[derive(Debug, Subcommand)]
pub enum Bundle {
    /// Collect every image, the manifests and the bill of materials into one file
    Create(CreateBundle),
    /// Check every byte of a bundle and show what it holds
    Inspect(InspectBundle),
    /// Push a bundle's images to a registry
    Load(LoadBundle),
}

/// Arguments of `bundle create`.
#[derive(Debug, Args)]
pub struct CreateBundle {
    /// The file
    #[arg(long, value_name = "FILE", default_value = "lab.tar.zst")]
    pub output: PathBuf,
    /// The platform of the machines that will use it [default: this one's]
    #[arg(long, value_name = "OS/ARCH")]
    pub platform: Option<String>,
    /// Collect the images of all platforms; the lab's own two are always this machine's
    #[arg(long, conflicts_with = "platform")]
    pub all_platforms: bool,
}

/// Arguments of `bundle inspect`.
#[derive(Debug, Args)]
pub struct InspectBundle {
    /// The file
    pub file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Print the bill of materials (CycloneDX) instead
    #[arg(long, conflicts_with = "json")]
    pub sbom: bool,
}

/// Arguments of `bundle load`.
#[derive(Debug, Args)]
pub struct LoadBundle {
    /// The file
    pub file: PathBuf,
    /// Registry, with the repository below which each image gets its own
    #[arg(long, value_name = "HOST[/REPO]")]
    pub to: String,
    /// Speak plain HTTP to that registry
    #[arg(long)]
    pub plain_http: bool,
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Print one JSON object
    #[arg(long, conflicts_with = "watch")]
    pub json: bool,
    /// Keep showing state, message rates, latencies, queue depth and firing alerts
    #[arg(long, short)]
    pub watch: bool,
}

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// The component
    pub component: Component,
    /// Keep showing what it writes
    #[arg(long, short)]
    pub follow: bool,
}

/// Arguments of `open`.
#[derive(Debug, Args)]
pub struct Open {
    /// The component
    pub component: Component,
}

/// Arguments of `profile`.
#[derive(Debug, Args)]
pub struct Profile {
    /// producer or consumer
    #[arg(value_parser = workload)]
    pub component: Component,
    /// How long to sample
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=120))]
    pub seconds: u32,
    /// Directory for the profile (.pb.gz) and the flame graph (.svg)
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Only this arrow; may be given again [default: all]
    #[arg(long = "arrow", value_name = "ID")]
    pub arrows: Vec<Arrow>,
    /// Break each arrow on purpose, demand that its probe goes red, heal it, demand green
    #[arg(long)]
    pub falsify: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Write a JUnit report
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the diagrams with each arrow coloured by its state, as Markdown
    #[arg(long, value_name = "FILE")]
    pub mermaid: Option<PathBuf>,
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// Only cases whose name contains this; `*` stands for anything; may be given again [default: all]
    #[arg(long = "case", value_name = "PATTERN")]
    pub cases: Vec<String>,
    /// How often each case is measured; its programs take turns
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// How long each run is measured; it warms up for as long before
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=600))]
    pub seconds: u32,
    /// PerfTest: its JAR with all it needs in it, or a directory of JARs
    #[arg(long, env = "PERF_TEST", value_name = "PATH")]
    pub perf_test: Option<PathBuf>,
    /// Management URL of a broker that does nothing else, as http://USER:PASSWORD@HOST:15672 [default: a broker of its own]
    #[arg(
        long,
        env = "LAB_BENCH_BROKER",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub broker: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Draw the throughput of each case
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Print the findings as a JSON array
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `test`.
#[derive(Debug, Args)]
pub struct Test {
    /// Install the Debian packages that the tests run against
    #[arg(long)]
    pub install: bool,
}

/// Arguments of `down`.
#[derive(Debug, Args)]
pub struct Down {
    /// Remove the lab's state too: data, logs, passwords
    #[arg(long)]
    pub purge: bool,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// A lab's name becomes a directory.
fn lab_name(name: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.is_empty() && name.len() <= 40 && name.chars().all(allowed) && !name.starts_with('-') {
        return Ok(name.to_owned());
    }
    Err(
        "a lab's name has 1 to 40 characters of a-z, 0-9 and -, and does not start with -"
            .to_owned(),
    )
}

/// A prefix begins a namespace's name (RFC 1123 label), which has 63 characters; the longest of the lab's has 17.
fn namespace_prefix(prefix: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let begins_well = prefix.starts_with(|c: char| c.is_ascii_alphanumeric());
    if prefix.is_empty() || (prefix.len() <= 40 && begins_well && prefix.chars().all(allowed)) {
        return Ok(prefix.to_owned());
    }
    Err("a prefix has up to 40 characters of a-z, 0-9 and -, and does not start with -".to_owned())
}

fn workload(name: &str) -> Result<Component, String> {
    match name.parse() {
        Ok(component @ (Component::Producer | Component::Consumer)) => Ok(component),
        Ok(_) | Err(_) => Err("only producer and consumer have profiles".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::called("lab").debug_assert();
    }

    #[test]
    fn a_lab_name_cannot_leave_its_directory() {
        for bad in ["", "..", "a/b", "-x", "Lab", &"x".repeat(41)] {
            assert!(lab_name(bad).is_err(), "{bad}");
        }
        assert_eq!(lab_name("team-2").as_deref(), Ok("team-2"));
    }
}
