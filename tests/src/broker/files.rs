//! What a RabbitMQ needs to run for itself: ports, configuration beside the manifests' own, users, environment.

use std::{convert::Infallible, fs, net::TcpListener, path::Path};

use blueprint::Account;
use lab::broker_users;

/// Below the range of ephemeral ports. A client that asks for a port in that range while nobody listens there is, now and
/// then, given that very port for itself and connects to itself, which keeps the broker from coming back.
const CANDIDATES: std::ops::Range<u16> = 20_000..32_000;

/// The broker's ports.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    pub(super) amqp: u16,
    pub(super) management: u16,
    pub(super) prometheus: u16,
    pub(super) distribution: u16,
    pub(super) epmd: u16,
}

impl Ports {
    pub(super) fn choose() -> Self {
        // All are held until all are chosen.
        let held: Vec<TcpListener> = std::iter::repeat_with(|| fastrand::u16(CANDIDATES))
            .filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok())
            .take(5)
            .collect();
        let port = |index: usize| held[index].local_addr().expect("a bound address").port();
        Self {
            amqp: port(0),
            management: port(1),
            prometheus: port(2),
            distribution: port(3),
            epmd: port(4),
        }
    }
}

/// Writes what differs from the manifests: addresses, and users with salted hashes.
pub(super) fn write(folder: &Path, ports: &Ports, conf: &str) {
    let definitions = folder.join("definitions");
    for directory in [&definitions, &folder.join("conf.d"), &folder.join("home")] {
        fs::create_dir(directory).expect("a directory in an empty folder");
    }
    write_file(
        &folder.join("conf.d/90-test.conf"),
        &format!(
            "listeners.tcp.default = 127.0.0.1:{}\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {}\n\
             prometheus.tcp.ip = 127.0.0.1\n\
             prometheus.tcp.port = {}\n\
             load_definitions = {}\n\
             # What the tests wait for is shown sooner.\n\
             collect_statistics_interval = 500\n\
             {conf}\n",
            ports.amqp,
            ports.management,
            ports.prometheus,
            definitions.display(),
        ),
    );
    let Ok(users) = broker_users(|account| Ok::<_, Infallible>(password(account)));
    write_file(&definitions.join("00-users.json"), &users);
    write_file(
        &definitions.join("topology.json"),
        &crate::config::text("rabbitmq/topology.json"),
    );
}

pub(super) fn password(account: Account) -> String {
    format!("password-of-{}", account.name())
}

/// The server's environment; beside it, it needs only `PATH`.
pub(super) fn environment(
    folder: &Path,
    ports: &Ports,
    manifests: &Path,
) -> Vec<(&'static str, String)> {
    let inside = |name: &str| folder.join(name).display().to_string();
    let manifest = |name: &str| manifests.join("rabbitmq").join(name).display().to_string();
    vec![
        // The Erlang cookie is made there.
        ("HOME", inside("home")),
        ("RABBITMQ_NODENAME", "test@localhost".to_owned()),
        ("ERL_EPMD_PORT", ports.epmd.to_string()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
        ("RABBITMQ_DIST_PORT", ports.distribution.to_string()),
        (
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            // Schedulers that spin while they wait take the cores from the clients beside them.
            "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
                .to_owned(),
        ),
        ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
        ("RABBITMQ_CONFIG_FILE", manifest("rabbitmq.conf")),
        ("RABBITMQ_CONFIG_FILES", inside("conf.d/*.conf")),
        ("RABBITMQ_ADVANCED_CONFIG_FILE", inside("advanced.config")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", manifest("enabled_plugins")),
        ("RABBITMQ_MNESIA_BASE", inside("mnesia")),
        ("RABBITMQ_LOG_BASE", inside("log")),
        ("RABBITMQ_LOGS", "-".to_owned()),
        ("RABBITMQ_GENERATED_CONFIG_DIR", inside("generated")),
        ("RABBITMQ_PID_FILE", inside("pid")),
    ]
}

/// Whether a kill leaves the broker its quorum queues.
pub(super) fn queue_names_are_saved(folder: &Path) -> Result<(), String> {
    chaos::queue_names::are_saved(&folder.join("mnesia"), "test@localhost")
}

fn write_file(path: &Path, content: &str) {
    fs::write(path, content)
        .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
}
