//! `down`: end the lab, and prove that no process and no listening port of it is left.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use anstream::eprintln;
use host::{Control, Request, end_leftovers, find_leftovers};
use lab::{Lab, LabFile};
use uuid::Uuid;

use terminal::{
    Setting, cli,
    failure::{Exit, Failure},
};

/// How long a port may take to accept a connection.
const CONNECT: Duration = Duration::from_millis(50);

/// Runs the command.
pub async fn run(setting: &Setting, arguments: cli::Down) -> anyhow::Result<Exit> {
    let lab = &setting.lab;
    if !lab.exists() {
        eprintln!(
            "There is no lab `{}` in {}.",
            lab.name(),
            setting.state.display()
        );
        return Ok(Exit::Holds);
    }
    let change = lab.lock_for_change()?;
    match lab.load() {
        Ok(Some(file)) => {
            end(lab, file.instance).await?;
            prove_ports_free(&file)?;
        }
        // Bootstrap was interrupted before the lab had an identity, so nothing was started.
        Ok(None) => {}
        // The identity of an older or damaged lab is enough to end it, and purging it was asked for.
        Err(error) if arguments.purge => match salvage_instance(lab) {
            Some(instance) => end(lab, instance).await?,
            None => {
                eprintln!(
                    "warning: {error}; only its supervisor can be asked to end its processes"
                );
                shut_down(lab).await?;
            }
        },
        Err(error) => return Err(error.into()),
    }
    if arguments.purge {
        lab.purge()?;
        eprintln!("Removed {}.", lab.directory().display());
    }
    drop(change);
    Ok(Exit::Holds)
}

async fn end(lab: &Lab, instance: Uuid) -> anyhow::Result<()> {
    shut_down(lab).await?;
    let ended = end_leftovers(instance).await?;
    if !ended.is_empty() {
        let names: Vec<_> = ended.iter().map(ToString::to_string).collect();
        eprintln!("Ended by their mark: {}.", names.join(", "));
    }
    let left = find_leftovers(instance);
    if !left.is_empty() {
        return Err(Failure::new(Exit::GaveUp, format!("still running: {left:?}")).into());
    }
    eprintln!("No process of the lab `{}` is left.", lab.name());
    Ok(())
}

/// Says how much there is to end before it takes its time.
async fn shut_down(lab: &Lab) -> anyhow::Result<()> {
    let units = Control::of(lab)
        .ask(&Request::Status)
        .await
        .unwrap_or_default();
    if !units.is_empty() {
        eprintln!("Ending {} units; the workload drains first.", units.len());
    }
    Ok(host::shut_down(lab).await?)
}

/// A port that still accepts connections belongs to somebody else by now, or to a process that lost its mark.
fn prove_ports_free(file: &LabFile) -> anyhow::Result<()> {
    let busy: Vec<_> = file
        .ports
        .iter()
        .filter(|(_, port)| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, **port));
            TcpStream::connect_timeout(&address, CONNECT).is_ok()
        })
        .map(|(owner, port)| format!("{port} ({owner})"))
        .collect();
    if busy.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::False,
        format!(
            "ports of the lab are still listened on: {}",
            busy.join(", ")
        ),
    )
    .hint("`ss -ltnp` tells by whom; no process with this lab's mark is left")
    .into())
}

/// The identity in a `lab.json` of another version.
fn salvage_instance(lab: &Lab) -> Option<Uuid> {
    let text = fs::read_to_string(lab.directory().join("lab.json")).ok()?;
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    value["instance"].as_str()?.parse().ok()
}
