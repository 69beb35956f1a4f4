//! `profile`: a CPU profile of the running workload, as pprof protobuf and as a flame graph.

mod flame_graph;
mod pprof;

use std::{fs, time::Duration};

use anstream::{eprintln, println};
use anyhow::Context as _;

use verify::Engine;

use crate::{
    cli,
    failure::{Exit, Failure},
    http,
};

/// How much longer than the sampling the answer may take.
const SLACK: Duration = Duration::from_secs(20);

/// Takes the profile from the component's admin server; standard output has the two paths.
///
/// # Errors
/// When the component is out of reach or used no CPU, and when a file cannot be written.
pub async fn run(engine: &dyn Engine, arguments: cli::Profile) -> anyhow::Result<Exit> {
    let component = arguments.component;
    let address = engine.address(component, "admin").await?;
    let seconds = arguments.seconds;
    eprintln!("Sampling {component} for {seconds} s");
    let answer = http::client()?
        .get(format!(
            "http://{address}/debug/pprof/profile?seconds={seconds}"
        ))
        .timeout(Duration::from_secs(seconds.into()) + SLACK)
        .send()
        .await
        .map_err(|error| {
            Failure::new(
                Exit::Missing,
                format!("{component} does not answer: {error}"),
            )
            .hint("`cargo xtask status` tells its state")
        })?;
    let status = answer.status();
    let body = answer.bytes().await.context("the profile was cut off")?;
    if !status.is_success() {
        let words = String::from_utf8_lossy(&body);
        return Err(
            Failure::new(Exit::Unexpected, format!("{component}: {status}: {words}")).into(),
        );
    }
    let profile = pprof::Profile::read(&body).context("the profile cannot be read")?;
    let stacks = profile.folded();
    if stacks.is_empty() {
        return Err(Failure::new(
            Exit::False,
            format!("{component} used no CPU within {seconds} s, so there is nothing to draw"),
        )
        .hint("sample longer, or give it more to do")
        .into());
    }
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let stem = arguments.output.join(format!("{component}-{time}"));
    let graph = flame_graph::draw(&format!("{component}, {seconds} s of CPU samples"), &stacks)?;
    fs::create_dir_all(&arguments.output)
        .with_context(|| format!("cannot create {}", arguments.output.display()))?;
    for (extension, bytes) in [("pb.gz", &body[..]), ("svg", &graph)] {
        let path = stem.with_extension(extension);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(Exit::Holds)
}
