//! `status`: each component's workload, and what Argo CD has applied.

use anstream::{print, println};
use blueprint::Component;
use kube::ResourceExt as _;
use terminal::{
    cli,
    failure::Exit,
    in_own_words,
    status::{
        Application, Gitops, Report, Row,
        watch::{self, Look},
    },
};

use verify::Engine as _;

use crate::{
    ClusterEngine, ClusterError, Kube, Site, argocd, diagnosis,
    workloads::{Workload, selector, workload},
};

/// Runs the command.
///
/// # Errors
/// When the API server does not answer.
pub async fn run(site: &Site, arguments: cli::Status) -> anyhow::Result<Exit> {
    if arguments.watch {
        let engine = ClusterEngine::of(site.clone()).await?;
        return watch::run(async || {
            Ok(Look {
                report: report(site).await?,
                prometheus: engine.address(Component::Prometheus, "http").await?,
                alertmanager: engine.address(Component::Alertmanager, "http").await?,
            })
        })
        .await;
    }
    let report = report(site).await?;
    if arguments.json {
        println!("{}", in_own_words(&serde_json::to_string_pretty(&report)?));
    } else {
        print!("{}", report.to_table());
    }
    Ok(Exit::Holds)
}

/// The lab as the API server has it.
///
/// # Errors
/// When the API server does not answer.
pub async fn report(site: &Site) -> Result<Report, ClusterError> {
    let mut components = Vec::new();
    for component in Component::ALL {
        components.push(row(site, component).await?);
    }
    Ok(Report {
        schema: 1,
        engine: site.file.engine.name(),
        lab: site.lab.name().to_owned(),
        components,
        gitops: gitops(&site.kube).await?,
    })
}

async fn row(site: &Site, component: Component) -> Result<Row, ClusterError> {
    let workload = workload(&site.kube, component).await?;
    let is_ready = workload
        .as_ref()
        .is_some_and(|workload| workload.ready >= workload.wanted && workload.wanted > 0);
    let (state, reason) = match &workload {
        None => (
            "absent".to_owned(),
            Some("nothing has applied it yet".to_owned()),
        ),
        Some(_) if is_ready => ("ready".to_owned(), None),
        Some(Workload { wanted: 0, .. }) => {
            ("stopped".to_owned(), Some("scaled to zero".to_owned()))
        }
        Some(Workload { wanted, ready, .. }) => {
            let selector = selector(component);
            let why =
                diagnosis::of_pods(&site.kube, &site.kube.namespace(component), Some(&selector))
                    .await?;
            (format!("{ready}/{wanted} ready"), why)
        }
    };
    let url = workload.as_ref().and_then(|_| site.page(component));
    Ok(Row {
        name: component.name(),
        state,
        version: workload.and_then(|workload| workload.version),
        url,
        reason,
    })
}

async fn gitops(kube: &Kube) -> Result<Option<Gitops>, ClusterError> {
    let Some(desired) = argocd::desired(kube).await? else {
        return Ok(None);
    };
    let root = argocd::root_status(kube).await?;
    let applications = argocd::list(kube).await?;
    Ok(Some(Gitops {
        source: desired.url,
        desired: desired.revision,
        live: root
            .map(|status| status.sync.revision)
            .filter(|revision| !revision.is_empty()),
        applications: applications.iter().map(application).collect(),
    }))
}

fn application(application: &argocd::Application) -> Application {
    let status = application.status.clone().unwrap_or_default();
    Application {
        name: application.name_any(),
        wave: argocd::wave(application),
        sync: status.sync.status.to_string(),
        health: status.health.status.to_string(),
        revision: Some(status.sync.revision).filter(|revision| !revision.is_empty()),
        message: argocd::message(application),
    }
}
