//! What the end-to-end tests and the tests of the configuration share.

pub mod api_server;
pub mod broker;
pub mod command_line;
pub mod config;
pub mod dashboards;
pub mod group;
pub mod host_lab;
pub mod http;
pub mod kind_lab;
pub mod kustomize;
pub mod metric_list;
pub mod pinned_images;
pub mod program;
pub mod promql;
pub mod registry;
pub mod require;
pub mod rules;
pub mod scraped;
pub mod wait;
pub mod workload;
