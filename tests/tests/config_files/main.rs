//! The configuration under `manifests/`: read by the programs that will read it, and consistent with the blueprint.

mod alerts;
mod dashboards;
mod grafana;
mod logs;
mod peers;
mod programs;
mod scrapes;
mod secrets;
