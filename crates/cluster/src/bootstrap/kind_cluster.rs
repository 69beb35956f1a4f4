//! The kind engine's own steps: network, registry, cluster, mirrors.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use lab::{
    Cluster, Engine, Lab, LabFile,
    ports::{is_free, next_free},
};
use oci::Bundle;
use terminal::Setting;
use tokio::time::{Instant, sleep};

use super::steps::{Did, Steps};
use crate::{
    ClusterError, Site, bundle, connect,
    kind::{ClusterConfig, ContainerEngine, KindCluster, Labels, Registry, journals, node_ports},
    run::require,
    site::{journals_directory, kubeconfig},
};

/// The registry's port on 127.0.0.1, where nothing else has it.
const REGISTRY_PORT: u16 = 5001;

/// Under this name `lab.json` remembers it.
const REGISTRY_OWNER: &str = "registry/http";

/// How long the API server of a node that was just started may take.
const API_SERVER: Duration = Duration::from_secs(120);

/// How often it is asked.
const INTERVAL: Duration = Duration::from_millis(200);

/// A lab's containers by their names.
pub(crate) struct Containers {
    pub(crate) engine: ContainerEngine,
    pub(crate) labels: Labels,
    pub(crate) cluster: KindCluster,
    pub(crate) registry: Registry,
}

impl Containers {
    pub(crate) fn of(engine: ContainerEngine, file: &LabFile) -> Self {
        let name = format!("lab-{}", file.name);
        Self {
            labels: Labels {
                lab: file.name.clone(),
                instance: file.instance,
            },
            registry: registry(
                &file.name,
                file.ports
                    .get(REGISTRY_OWNER)
                    .copied()
                    .unwrap_or(REGISTRY_PORT),
            ),
            cluster: KindCluster {
                network: name.clone(),
                name,
                engine: engine.clone(),
            },
            engine,
        }
    }
}

/// Makes what is missing, or starts what was stopped.
pub(super) async fn bring_up(
    setting: &Setting,
    bundle: Option<&Arc<Bundle>>,
    steps: &mut Steps,
) -> anyhow::Result<Site> {
    let lab = &setting.lab;
    let manifests = setting.root.join("manifests");
    steps
        .run("programs", "looking for them", async {
            require(&["kind", "kustomize"])?;
            Ok::<_, ClusterError>(((), Did::Nothing("kind and kustomize".to_owned())))
        })
        .await?;
    let engine = steps
        .run("engine", "asking docker, then podman", async {
            let engine = ContainerEngine::find().await?;
            let did = Did::Nothing(engine.program().to_owned());
            Ok::<_, ClusterError>((engine, did))
        })
        .await?;
    let name = lab.name();
    let mut file = lab.load_or_create(&Engine::Kind(Cluster {
        context: format!("kind-lab-{name}"),
        registry: String::new(),
        pulled_from: String::new(),
        plain_http: true,
        namespace_prefix: String::new(),
        storage_class: None,
    }))?;
    let kubeconfig = kubeconfig(lab);
    let Containers {
        labels, cluster, ..
    } = Containers::of(engine.clone(), &file);
    // First of all, because it refuses what belongs to another lab of this name.
    steps
        .run("network", "looking for it", async {
            let made = engine.ensure_network(&cluster.network, &labels).await?;
            let word = if made { "made" } else { "is there" };
            Ok::<_, ClusterError>(((), did(word)))
        })
        .await?;
    if let Some(bundle) = bundle {
        steps
            .run(
                "engine's images",
                "loading the node's and the registry's",
                async {
                    let loaded = load(&engine, bundle, &manifests).await?;
                    Ok::<_, ClusterError>(((), Did::count(loaded, "loaded")))
                },
            )
            .await?;
    }
    let exists = cluster.exists().await?;
    if exists && !kubeconfig.exists() {
        anstream::eprintln!("Removing a cluster that an interrupted bootstrap left half made.");
        cluster.delete().await?;
    }
    let mut config = ClusterConfig::read(&manifests)?;
    let exists = Exists {
        registry: Containers::of(engine.clone(), &file)
            .registry
            .exists(&engine)
            .await?,
        cluster: exists && kubeconfig.exists(),
    };
    choose_ports(&mut file, &mut config, &manifests, exists)?;
    config.mount(&journals::make(&journals_directory(lab))?)?;
    let containers = Containers::of(engine, &file);
    let cluster = Cluster {
        context: containers.cluster.context(),
        registry: containers.registry.pushed_to(),
        pulled_from: containers.registry.pulled_from(),
        plain_http: true,
        namespace_prefix: String::new(),
        storage_class: None,
    };
    file.engine = Engine::Kind(cluster.clone());
    lab.save(&file)?;

    let Containers {
        engine,
        labels,
        cluster: kind,
        registry,
    } = &containers;
    steps
        .run("registry", "starting it", async {
            let word = registry
                .ensure(engine, &kind.network, labels, &manifests)
                .await?;
            Ok::<_, ClusterError>(((), did(word)))
        })
        .await?;
    steps
        .run("cluster", "kind creates it", async {
            let word = kind.ensure(&config, lab.directory(), &kubeconfig).await?;
            journals::ensure_on_node(engine, &kind.node()).await?;
            Ok::<_, ClusterError>(((), did(word)))
        })
        .await?;
    let kube = steps
        .run("api server", "waiting for it", async {
            let kube = connect(&cluster, Some(&kubeconfig)).await?;
            answers(&kube.client).await?;
            Ok::<_, ClusterError>((kube, Did::Nothing("answers".to_owned())))
        })
        .await?;
    Ok(Site {
        lab: lab.clone(),
        file,
        cluster,
        kube,
        manifests,
        ca_file: setting.ca_file.clone(),
    })
}

/// Under which name the cluster of a lab pulls from its registry.
pub(super) fn pulled_from(lab: &Lab) -> String {
    registry(lab.name(), REGISTRY_PORT).pulled_from()
}

fn registry(lab: &str, port: u16) -> Registry {
    Registry {
        name: format!("lab-{lab}-registry"),
        port,
    }
}

/// Hands the container engine what it runs beside the cluster. Returns how many images it did not have.
async fn load(
    engine: &ContainerEngine,
    bundle: &Arc<Bundle>,
    manifests: &Path,
) -> Result<usize, ClusterError> {
    let beside = bundle::of_engine(bundle, manifests)?;
    let mut loaded = 0;
    for placed in bundle::placed(bundle, |name| beside.contains(name))? {
        let Some(name) = placed.name.by_tag() else {
            continue;
        };
        if !engine.has_image(&name, &**bundle, &placed.image).await? {
            engine.load(&name, Arc::clone(bundle), placed.image).await?;
            loaded += 1;
        }
    }
    Ok(loaded)
}

fn did(word: &str) -> Did {
    match word {
        "is there" | "runs already" => Did::Nothing(word.to_owned()),
        _ => Did::Something(word.to_owned()),
    }
}

/// What holds its ports already.
struct Exists {
    registry: bool,
    cluster: bool,
}

/// Gives the registry and each port of the node its port on 127.0.0.1. What exists keeps its own: neither a container nor
/// a node of kind can move them.
fn choose_ports(
    file: &mut LabFile,
    config: &mut ClusterConfig,
    manifests: &Path,
    exists: Exists,
) -> Result<(), ClusterError> {
    let remembered = file.ports.clone();
    let mut used: BTreeSet<u16> = BTreeSet::new();
    let mut chosen = BTreeMap::new();
    let mut choose = |owner: &str, preferred: u16| {
        let first = remembered.get(owner).copied();
        let port = match first {
            Some(port) if exists.registry && owner == REGISTRY_OWNER => port,
            Some(port) if exists.cluster && owner != REGISTRY_OWNER => port,
            _ => next_free(owner, first.unwrap_or(preferred), |port| {
                !used.contains(&port) && is_free(port)
            })?,
        };
        used.insert(port);
        chosen.insert(owner.to_owned(), port);
        Ok(port)
    };
    choose(REGISTRY_OWNER, REGISTRY_PORT)?;
    config.assign(&node_ports(manifests)?, choose)?;
    for (owner, port) in &chosen {
        let moved = remembered.get(owner).is_some_and(|before| before != port);
        if moved {
            anstream::eprintln!("{owner} is reached at {port} now, because its port was taken");
        }
    }
    file.ports = chosen;
    Ok(())
}

/// The API server of a node that was started again takes a while.
async fn answers(client: &kube::Client) -> Result<(), ClusterError> {
    let started = Instant::now();
    loop {
        match client.apiserver_version().await {
            Ok(_) => return Ok(()),
            // Waiting does not make credentials right.
            Err(kube::Error::Api(status)) if status.code == 401 => {
                return Err(ClusterError::kubernetes("say its version")(
                    kube::Error::Api(status),
                ));
            }
            Err(error) if started.elapsed() >= API_SERVER => {
                return Err(ClusterError::kubernetes("say its version")(error));
            }
            Err(_) => sleep(INTERVAL).await,
        }
    }
}
