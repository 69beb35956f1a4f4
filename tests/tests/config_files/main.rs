//! The configuration under `manifests/`: read by the programs that will read it, and consistent with the blueprint.

mod alerts;
mod dashboards;
mod grafana;
mod live;
mod logql;
mod logs;
mod peers;
mod programs;
mod queries;
mod scrapes;
mod secrets;
