//! `doctor`: what the lab needs of this machine, what is missing or in the way, and the command that mends it.
//!
//! Each subject is a module: what it reads of the machine is facts, and a function without I/O makes findings of them.
//! What cannot be looked at on a machine is not spoken of.

mod ask;
mod authorities;
mod cgroups;
mod container_engine;
mod disk;
mod dns;
mod docker_setup;
mod finding;
mod inotify;
mod kind_tools;
mod lab_state;
mod leftovers;
mod memory;
mod pinned;
mod ports;
mod programs;
mod proxies;
mod storage;

use std::env;

use anstream::{print, println};
use terminal::{Setting, cli, failure::Exit, in_own_words, table};

use self::{
    finding::{Finding, Verdict},
    pinned::Pinned,
};
use crate::engine;

/// Runs the command; exit code 3 when something is missing that the lab cannot do without.
pub async fn run(setting: &Setting, arguments: cli::Doctor) -> anyhow::Result<Exit> {
    let mut findings = examine(setting).await;
    findings.sort_by_key(|finding| finding.engine);
    if arguments.json {
        println!(
            "{}",
            in_own_words(&serde_json::to_string_pretty(&findings)?)
        );
    } else {
        let mut rows = table::Rows::new(["ENGINE", "SUBJECT", "", "FOUND", "FIX"]);
        for finding in &findings {
            let (word, color) = finding.verdict.word();
            let engine = finding.engine.word();
            let fix = finding.fix.as_deref().unwrap_or_default();
            rows.add(
                Some(color),
                [&engine, &finding.subject, &word, &finding.found, &fix],
            );
        }
        print!("{}", rows.text());
    }
    let bad = findings
        .iter()
        .any(|finding| finding.verdict == Verdict::Bad);
    Ok(if bad { Exit::Missing } else { Exit::Holds })
}

async fn examine(setting: &Setting) -> Vec<Finding> {
    let name = setting.lab.name();
    let variable = |name: &str| env::var(name).ok();
    let pinned = Pinned::read(&setting.root.join("manifests"));
    let (asked, tools, resolved) = tokio::join!(
        container_engine::find(),
        kind_tools::Said::read(),
        dns::resolve(&pinned.registries),
    );
    let facts = asked.facts();
    let program = facts.map(|facts| facts.program);
    let root = facts.map(|facts| facts.root.as_path());

    let input = engine::plan_input(setting);
    let kind_runs = facts.is_some() && tools.kind.said().is_some();
    let mut findings = programs::judge(&input, kind_runs);
    let (state, runs) = lab_state::judge(setting, program).await;
    findings.push(state);
    findings.extend(container_engine::judge(&asked));
    findings.extend(docker_setup::judge(&docker_setup::Facts::read(), root));
    findings.extend(kind_tools::judge(&tools, pinned.kubernetes));
    findings.extend(cgroups::judge(
        facts.map(|facts| facts.cgroup_version.as_str()),
        cgroups::read().as_deref(),
    ));
    findings.extend(inotify::Facts::read().into_iter().flat_map(inotify::judge));
    // A lab that runs holds its ports and its memory itself.
    if !runs {
        let wanted = ports::wanted(&input.components(), &pinned.host_ports);
        findings.extend(ports::judge(&wanted, lab::ports::is_free));
        findings.extend(memory::judge(
            memory::read(),
            facts.map(|facts| facts.memory_bytes),
        ));
    }
    findings.extend(disk::free(&setting.state).map(disk::of_state));
    if let Some(facts) = facts {
        findings.extend(storage::judge(facts, storage::read(&facts.root).as_deref()));
        // An engine in a virtual machine has its data root there.
        if facts.root.exists() && !runs {
            findings.extend(
                disk::free(&facts.root)
                    .map(|free| disk::of_images(facts.program, &facts.root, free)),
            );
        }
        let said = leftovers::Said::read(facts.program).await;
        let labs = leftovers::labs(&setting.state);
        findings.extend(leftovers::judge(
            facts.program,
            &said,
            &labs,
            &setting.state,
        ));
    }
    findings.extend(proxies::judge(variable, &format!("lab-{name}-registry")));
    findings.extend(authorities::judge(
        &authorities::read(),
        program.unwrap_or("docker"),
        &format!("lab-{name}-control-plane"),
    ));
    let has_proxy = !proxies::set(variable).is_empty();
    findings.extend(dns::judge(&resolved, has_proxy));
    findings
}
