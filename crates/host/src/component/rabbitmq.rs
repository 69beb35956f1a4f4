//! RabbitMQ and the port mapper that its Erlang node registers with.
//!
//! epmd is a unit of its own, on a private port: started by the broker it would outlive it as a daemon, on the port
//! that every Erlang node of the machine shares.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, time::Duration};

use blueprint::Component;
use lab::{broker_users, passwords, write_if_changed};

use super::{Rendered, Site};
use crate::{
    HostError, Readiness, Unit,
    fingerprint::Fingerprint,
    ports::{DISTRIBUTION, EPMD},
    programs,
};

const SELF: Component = Component::Rabbitmq;

pub(super) fn render(site: &Site) -> Result<Rendered, HostError> {
    let conf = site.manifest(SELF, "rabbitmq.conf")?;
    let plugins = site.manifest(SELF, "enabled_plugins")?;
    let topology = site.manifest(SELF, "topology.json")?;
    let definitions = site.input.lab.config(SELF).join("definitions");
    let local = local_conf(site, &definitions);
    // The main file is the manifests' own; the local one is read after it.
    let main = site.write(SELF, "rabbitmq.conf", &conf)?;
    let local = (site.write(SELF, "conf.d/90-host.conf", &local)?, local);
    let enabled = site.write(SELF, "enabled_plugins", &plugins)?;
    site.write(SELF, "definitions/topology.json", &topology)?;
    let users = users(site, &definitions.join("00-users.json"))?;

    let data = site.data(SELF)?;
    let port = |name| site.port(SELF, name);
    let directory = local.0.path.parent().unwrap_or(Path::new("/"));
    let environment: BTreeMap<String, String> = [
        // A node name that does not follow the host's: the data belongs to it.
        ("RABBITMQ_NODENAME", "rabbit@localhost".to_owned()),
        ("RABBITMQ_CONFIG_FILE", main.path.display().to_string()),
        ("RABBITMQ_CONFIG_FILES", directory.display().to_string()),
        (
            "RABBITMQ_ENABLED_PLUGINS_FILE",
            enabled.path.display().to_string(),
        ),
        (
            "RABBITMQ_MNESIA_BASE",
            data.join("mnesia").display().to_string(),
        ),
        ("RABBITMQ_LOG_BASE", data.join("log").display().to_string()),
        ("RABBITMQ_LOGS", "-".to_owned()),
        (
            "RABBITMQ_GENERATED_CONFIG_DIR",
            data.join("config").display().to_string(),
        ),
        // Keeps the system's own settings of a Debian broker out.
        ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
        ("RABBITMQ_DIST_PORT", port(DISTRIBUTION).to_string()),
        (
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "-kernel inet_dist_use_interface {127,0,0,1}".to_owned(),
        ),
        ("ERL_EPMD_PORT", port(EPMD).to_string()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        // A node that is ended while it boots would leave it where the command was given.
        (
            "ERL_CRASH_DUMP",
            data.join("erl_crash.dump").display().to_string(),
        ),
        // The Erlang cookie lies in HOME, so each lab has its own.
        ("HOME", data.display().to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();

    let broker = site.unit(SELF);
    let epmd = Unit {
        name: EPMD.to_owned(),
        program: programs::find("epmd", &std::env::var_os("PATH").unwrap_or_default())
            .unwrap_or_else(|| EPMD.into()),
        arguments: vec!["-port".to_owned(), port(EPMD).to_string()],
        environment: BTreeMap::from([("ERL_EPMD_ADDRESS".to_owned(), "127.0.0.1".to_owned())]),
        readiness: Readiness::Tcp(port(EPMD)),
        fingerprint: String::new(),
        log_directory: site.input.lab.container_logs(SELF, EPMD, site.instance),
        ..broker.clone()
    };
    let fingerprint = Fingerprint::default()
        .program(&broker.program)
        .bytes(conf)
        .bytes(plugins)
        .bytes(topology)
        .bytes(local.1)
        .bytes(users)
        .finish();
    let broker = Unit {
        after: vec![EPMD.to_owned()],
        readiness: Readiness::Command {
            port: port("amqp"),
            program: broker.program.with_file_name("rabbitmq-diagnostics"),
            arguments: vec!["--quiet".to_owned(), "check_running".to_owned()],
        },
        // Closing quorum queues and the write-ahead log takes seconds on a busy machine.
        stop_grace: Duration::from_secs(30),
        environment,
        fingerprint,
        ..broker
    };
    Ok(Rendered {
        units: vec![epmd, broker],
        reload: false,
    })
}

/// What differs from a cluster: every listener on loopback and on the lab's ports, definitions from the lab.
fn local_conf(site: &Site, definitions: &Path) -> String {
    let port = |name| site.port(SELF, name);
    let mut conf = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(conf, "listeners.tcp.default = 127.0.0.1:{}", port("amqp"));
    for (plugin, name) in [("management", "management"), ("prometheus", "prometheus")] {
        let _ = writeln!(conf, "{plugin}.tcp.ip = 127.0.0.1");
        let _ = writeln!(conf, "{plugin}.tcp.port = {}", port(name));
    }
    let _ = writeln!(conf, "load_definitions = {}", definitions.display());
    conf
}

/// Writes the users' definitions file; returns its text.
fn users(site: &Site, path: &Path) -> Result<Vec<u8>, HostError> {
    let text = broker_users(|account| passwords::read(&site.input.lab, account))?;
    write_if_changed(path, text.as_bytes())?;
    Ok(text.into_bytes())
}
